"""Lists in pages, with filters; and what a description holds."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Aws
from tests.local.emr.servers import LocalEmr, shell


def test_clusters_in_pages_with_filters(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = LocalEmr(aws_server, tmp_path_factory.mktemp("many") / "data", "--start-delay", "300")
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = [server.run(Name=str(n)) for n in range(52)]
    pages = list(server.emr.get_paginator("list_clusters").paginate())
    assert [len(page["Clusters"]) for page in pages] == [50, 2]
    assert [each["Id"] for page in pages for each in page["Clusters"]] == made[::-1]
    newest = server.get("/")  # the page for people has as many
    assert re.findall(r"/clusters/([\w-]+)", newest) == made[:1:-1]
    older = re.search(r'href="(/\?marker=[^"]+)"', newest)
    assert older
    assert re.findall(r"/clusters/([\w-]+)", server.get(older[1])) == made[1::-1]
    starting = {"ClusterStates": ["STARTING"]}
    first = server.emr.list_clusters(**starting)
    server.emr.terminate_job_flows(JobFlowIds=made[-2:])  # on the first page: the second is what it was
    second = server.emr.list_clusters(Marker=first["Marker"], **starting)
    assert [each["Id"] for each in second["Clusters"]] == made[1::-1]
    assert "Marker" not in second
    server.emr.terminate_job_flows(JobFlowIds=made[:1])
    for cluster in (made[0], *made[-2:]):
        server.until_state(cluster, "TERMINATED")

    def count(**filters: object) -> int:
        return len(server.emr.get_paginator("list_clusters").paginate(**filters).build_full_result()["Clusters"])

    assert count(ClusterStates=["TERMINATED"]) == 3
    assert count(ClusterStates=["STARTING", "TERMINATED"]) == 52
    assert count(CreatedAfter=before) == 52
    assert count(CreatedBefore=before) == 0
    for marker in ("bananas", "MQ==", "eyJhIjogMX0="):  # no base64, a number, a mapping
        with pytest.raises(ClientError, match=f"Marker '{marker}' is not valid"):
            server.emr.list_clusters(Marker=marker)
    with pytest.raises(ClientError, match="At most 10 clusters"):
        server.emr.terminate_job_flows(JobFlowIds=made[1:12])
    assert server.stop() == 0


def test_steps_in_pages_with_filters(local_emr: LocalEmr) -> None:
    steps = [shell("first", "sleep 300"), *(shell(str(n), "true") for n in range(54))]
    cluster = local_emr.run(*steps)
    local_emr.until_state(cluster, "RUNNING")
    pages = list(local_emr.emr.get_paginator("list_steps").paginate(ClusterId=cluster))
    assert [len(page["Steps"]) for page in pages] == [50, 5]
    names = [step["Name"] for page in pages for step in page["Steps"]]
    assert names == [step["Name"] for step in steps][::-1]
    ids = [step["Id"] for step in pages[0]["Steps"]]
    pending = {"ClusterId": cluster, "StepStates": ["PENDING"]}
    marker = local_emr.emr.list_steps(**pending)["Marker"]
    local_emr.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[shell("later", "true")])
    rest = local_emr.emr.list_steps(Marker=marker, **pending)["Steps"]
    assert [step["Name"] for step in rest] == ["3", "2", "1", "0"]
    listed = local_emr.emr.list_steps(ClusterId=cluster, StepIds=ids[3:5])["Steps"]
    assert [step["Id"] for step in listed] == ids[3:5]
    running = local_emr.emr.list_steps(ClusterId=cluster, StepStates=["RUNNING"])["Steps"]
    assert [step["Name"] for step in running] == ["first"]
    for wrong, message in (
        ({"StepIds": ids[:11]}, "A maximum of 10 step ids"),
        ({"StepIds": ids[:1], "StepStates": ["RUNNING"]}, "Cannot specify both StepIds and StepStates"),
        ({"StepIds": ["s-NONE"]}, "Step id 's-NONE' is not valid"),
    ):
        with pytest.raises(ClientError, match=message) as caught:
            local_emr.emr.list_steps(ClusterId=cluster, **wrong)
        assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])


def test_descriptions(local_emr: LocalEmr) -> None:
    step = shell("one", "exit 1", "CANCEL_AND_WAIT")
    step["HadoopJarStep"]["Properties"] = [{"Key": "a", "Value": "b"}]
    cluster_id = local_emr.run(
        step,
        Applications=[{"Name": "spark"}, {"Name": "Hive"}],
        LogUri="s3://no-such-bucket-here/logs",
        Configurations=[{"Classification": "iceberg-defaults", "Properties": {"iceberg.enabled": "true"}}],
        SecurityConfiguration="sealed",
        Tags=[{"Key": "run", "Value": "r1"}],
        More={"Ec2SubnetId": "subnet-1", "Placement": {"AvailabilityZone": "eu-west-1c"}},
    )
    local_emr.until_steps(cluster_id, ["FAILED"])
    cluster = local_emr.cluster(cluster_id)
    assert cluster["Id"] == cluster_id
    assert cluster["ClusterArn"] == f"arn:aws:elasticmapreduce:eu-west-1:000000000000:cluster/{cluster_id}"
    assert cluster["ReleaseLabel"] == "emr-7.14.0"
    assert cluster["Applications"] == [
        {"Name": "Spark", "Version": "3.5.8"},
        {"Name": "Hive", "Version": "0.0.0"},  # not known here; it has to look like a version
    ]
    assert cluster["LogUri"] == "s3n://no-such-bucket-here/logs/"
    assert (cluster["EbsRootVolumeSize"], cluster["OSReleaseLabel"]) == (15, "2023.6.20241212.0")
    assert cluster["NormalizedInstanceHours"] == 8
    assert cluster["Configurations"][0]["Properties"] == {"iceberg.enabled": "true"}
    assert cluster["SecurityConfiguration"] == "sealed"
    assert cluster["Tags"] == [{"Key": "run", "Value": "r1"}]
    assert cluster["AutoTerminate"] is cluster["TerminationProtected"] is False
    assert cluster["Ec2InstanceAttributes"]["Ec2SubnetId"] == "subnet-1"
    assert cluster["Ec2InstanceAttributes"]["Ec2AvailabilityZone"] == "eu-west-1c"
    assert cluster["Ec2InstanceAttributes"]["IamInstanceProfile"] == "nodes"
    step_id = local_emr.steps(cluster_id)[0]["Id"]
    described = local_emr.emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]
    assert described["ActionOnFailure"] == "CANCEL_AND_WAIT"
    assert described["Config"] == {
        "Jar": "command-runner.jar",
        "Args": ["bash", "-c", "exit 1"],
        "Properties": {"a": "b"},
    }
    with pytest.raises(ClientError, match="Step id 's-NONE' is not valid"):
        local_emr.emr.describe_step(ClusterId=cluster_id, StepId="s-NONE")
