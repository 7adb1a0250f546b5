"""Policies that are enforced: real calls, of a user of ministack's IAM and of a step's own credentials."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.conftest import REGION, Aws
from tests.local.emr.servers import ONE_NODE, LocalEmr, shell

CLUSTERS = f"arn:aws:elasticmapreduce:{REGION}:000000000000:cluster/*"
ROLES = "arn:aws:iam::000000000000:role"
OURS = {"Key": "team", "Value": "fruit"}
PASSED = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": [f"{ROLES}/emr-service", f"{ROLES}/emr-node"],
    "Condition": {"StringEquals": {"iam:PassedToService": ["elasticmapreduce.amazonaws.com", "ec2.amazonaws.com"]}},
}
MAY_CREATE = {
    "Effect": "Allow",
    "Action": ["elasticmapreduce:RunJobFlow", "elasticmapreduce:AddTags"],
    "Resource": CLUSTERS,
    "Condition": {"StringEquals": {"aws:RequestTag/team": "fruit"}},
}
MAY_RULE = {
    "Effect": "Allow",
    "Action": ["elasticmapreduce:DescribeCluster", "elasticmapreduce:TerminateJobFlows"],
    "Resource": CLUSTERS,
    "Condition": {"StringEquals": {"elasticmapreduce:ResourceTag/team": "fruit"}},
}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(service: str) -> str:
    return document(
        {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    )


class Guarded:
    """A local EMR that asks ministack's IAM, and a user of it."""

    def __init__(self, server: LocalEmr, key: dict[str, str]) -> None:
        self.server = server
        self.user = self.client(key["AccessKeyId"], key["SecretAccessKey"])

    def client(self, key: str, secret: str, token: str | None = None) -> Any:
        return boto3.client(
            "emr",
            endpoint_url=self.server.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )

    def permit(self, *statements: dict[str, Any]) -> None:
        iam = self.server.aws.client("iam")
        iam.put_user_policy(UserName="picker", PolicyName="picks", PolicyDocument=document(*statements))

    def create(self, **request: Any) -> str:
        asked = {
            "Name": "guarded",
            "ReleaseLabel": "emr-7.14.0",
            "ServiceRole": "emr-service",
            "JobFlowRole": "emr-node",
            "Instances": ONE_NODE | {"KeepJobFlowAliveWhenNoSteps": True},
            "Tags": [OURS],
        }
        return str(self.user.run_job_flow(**asked | request)["JobFlowId"])


@pytest.fixture(scope="module")
def guarded(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    iam = aws_server.client("iam")
    iam.create_user(UserName="picker")
    key = iam.create_access_key(UserName="picker")["AccessKey"]
    for name, service in (("emr-service", "elasticmapreduce"), ("emr-node", "ec2")):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))
    iam.create_instance_profile(InstanceProfileName="emr-node")
    iam.add_role_to_instance_profile(InstanceProfileName="emr-node", RoleName="emr-node")
    server = LocalEmr(aws_server, tmp_path_factory.mktemp("guarded") / "data", "--iam-endpoint", aws_server.url)
    yield Guarded(server, key)
    assert server.stop() == 0


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def denied(action: str, resource: str) -> tuple[str, str]:
    message = (
        f"User: arn:aws:iam::000000000000:user/picker is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    return "AccessDeniedException", message


def test_a_user_who_may_does(guarded: Guarded) -> None:
    guarded.permit(MAY_CREATE, MAY_RULE, PASSED)
    cluster = guarded.create()
    assert guarded.user.describe_cluster(ClusterId=cluster)["Cluster"]["Tags"] == [OURS]
    guarded.user.terminate_job_flows(JobFlowIds=[cluster])
    guarded.server.until_state(cluster, "TERMINATED")


@pytest.mark.parametrize(
    ("statements", "request_", "action", "resource"),
    [
        ([], {}, "elasticmapreduce:RunJobFlow", CLUSTERS),
        ([MAY_CREATE, PASSED], {"Tags": []}, "elasticmapreduce:RunJobFlow", CLUSTERS),
        (
            [MAY_CREATE, PASSED],
            {"Tags": [{"Key": "team", "Value": "vegetables"}]},
            "elasticmapreduce:RunJobFlow",
            CLUSTERS,
        ),
        (
            [MAY_CREATE | {"Action": "elasticmapreduce:RunJobFlow"}, PASSED],
            {},
            "elasticmapreduce:AddTags",
            CLUSTERS,
        ),
        ([MAY_CREATE], {}, "iam:PassRole", f"{ROLES}/emr-service"),
        ([MAY_CREATE, PASSED], {"ServiceRole": "admin"}, "iam:PassRole", f"{ROLES}/admin"),
        ([MAY_CREATE, PASSED | {"Resource": f"{ROLES}/emr-service"}], {}, "iam:PassRole", f"{ROLES}/emr-node"),
        (
            [MAY_CREATE, PASSED | {"Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}],
            {},
            "iam:PassRole",
            f"{ROLES}/emr-service",
        ),
        (
            [MAY_CREATE, PASSED, {"Effect": "Deny", "Action": "elasticmapreduce:*", "Resource": "*"}],
            {},
            "elasticmapreduce:RunJobFlow",
            CLUSTERS,
        ),
    ],
    ids=["nothing", "no tag", "other tag", "no tagging", "no role", "other role", "no node", "other service", "denied"],
)
def test_a_cluster_that_the_user_may_not_have(
    guarded: Guarded, statements: list[dict[str, Any]], request_: dict[str, Any], action: str, resource: str
) -> None:
    guarded.permit(*(statements or [MAY_RULE]))
    before = len(guarded.server.emr.list_clusters()["Clusters"])
    with pytest.raises(ClientError) as error:
        guarded.create(**request_)
    assert refusal(error) == denied(action, resource)
    assert len(guarded.server.emr.list_clusters()["Clusters"]) == before


def test_a_cluster_of_others(guarded: Guarded) -> None:
    guarded.permit(MAY_CREATE, MAY_RULE, PASSED)
    others = guarded.server.run(
        ServiceRole="emr-service", JobFlowRole="emr-node"
    )  # the server's own key may everything
    ours = guarded.create()
    one = f"arn:aws:elasticmapreduce:{REGION}:000000000000:cluster/{others}"
    with pytest.raises(ClientError) as error:
        guarded.user.terminate_job_flows(JobFlowIds=[ours, others])
    assert refusal(error) == denied("elasticmapreduce:TerminateJobFlows", one)
    with pytest.raises(ClientError) as error:
        guarded.user.list_clusters()
    assert refusal(error) == denied("elasticmapreduce:ListClusters", "*")
    assert {guarded.server.state(ours), guarded.server.state(others)} <= {"STARTING", "BOOTSTRAPPING", "WAITING"}
    guarded.server.emr.terminate_job_flows(JobFlowIds=[ours, others])


def test_roles_that_are_not_there(guarded: Guarded) -> None:
    with pytest.raises(ClientError) as error:
        guarded.server.run(ServiceRole="emr-service", JobFlowRole="no-such")
    assert refusal(error) == ("ValidationException", "Invalid InstanceProfile: no-such.")
    with pytest.raises(ClientError) as error:
        guarded.server.run(ServiceRole="no-such", JobFlowRole="emr-node")
    assert refusal(error) == ("ValidationException", "EMR service role no-such is invalid.")


def test_nobody(guarded: Guarded) -> None:
    with pytest.raises(ClientError) as error:
        guarded.client("AKIANOBODY0000000000", "secret").list_clusters()
    assert refusal(error)[0] == "UnrecognizedClientException"
    status, answer = guarded.server.send("POST", "/", {}, {"x-amz-target": "ElasticMapReduce.ListClusters"})
    assert (status, answer["__type"]) == (403, "MissingAuthenticationTokenException")


def test_a_step_has_the_role_of_its_node_and_no_more(guarded: Guarded, bucket: str) -> None:
    """The node writes its logs, the step may read one folder; it may not call EMR, nor use the server's own key."""
    aws, read = guarded.server.aws, f"arn:aws:s3:::{bucket}/open/*"
    logs = f"arn:aws:s3:::{bucket}/logs/*"
    aws.client("iam").put_role_policy(
        RoleName="emr-node",
        PolicyName="node",
        PolicyDocument=document(
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": read},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": logs},
        ),
    )
    program = (
        "import boto3, sys; print(boto3.client('s3').get_object(Bucket=sys.argv[1], Key=sys.argv[2])['Body'].read())"
    )
    for key in ("open/one", "closed/one"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=program.encode())
    read_it = f'"$PYSPARK_PYTHON" -c "{program}" {bucket}'
    cluster = guarded.server.run(
        shell("open", f"{read_it} open/one"),
        shell("closed", f"{read_it} closed/one"),
        shell("key", 'echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN"'),
        ServiceRole="emr-service",
        JobFlowRole="emr-node",
        LogUri=f"s3://{bucket}/logs",
    )
    guarded.server.until_steps(cluster, ["COMPLETED", "FAILED", "COMPLETED"])
    _, closed, key = guarded.server.steps(cluster)
    assert "AccessDenied" in closed["Status"]["FailureDetails"]["Message"]
    given = guarded.server.log(f"s3://{bucket}/logs/{cluster}/steps/{key['Id']}/stdout.gz").split()
    assert given[0].startswith("ASIA")
    with pytest.raises(ClientError) as error:
        guarded.client(*given).terminate_job_flows(JobFlowIds=[cluster])
    code, message = refusal(error)
    master = guarded.server.emr.list_instances(ClusterId=cluster)["Instances"][0]["Ec2InstanceId"]
    assert code == "AccessDeniedException"
    assert message.startswith(f"User: arn:aws:sts::000000000000:assumed-role/emr-node/{master} is not authorized")
    guarded.server.emr.terminate_job_flows(JobFlowIds=[cluster])


def test_an_artefact_that_the_node_may_not_read(guarded: Guarded, bucket: str) -> None:
    guarded.server.aws.client("s3").put_object(Bucket=bucket, Key="secret.sh", Body=b"echo never")
    script = {"Path": f"s3://{bucket}/secret.sh"}
    cluster = guarded.server.run(
        ServiceRole="emr-service",
        JobFlowRole="emr-node",
        BootstrapActions=[{"Name": "secret", "ScriptBootstrapAction": script}],
    )
    status = guarded.server.until_state(cluster, "TERMINATED_WITH_ERRORS")
    assert f"s3://{bucket}/secret.sh could not be fetched" in status["StateChangeReason"]["Message"]
    assert "(403)" in status["StateChangeReason"]["Message"]
