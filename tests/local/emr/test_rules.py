"""What EMR refuses although the service model allows it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emr.servers import ONE_NODE, LocalEmr, shell

MASTER = {"InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1}
FLEET = {
    "InstanceFleetType": "MASTER",
    "TargetOnDemandCapacity": 1,
    "InstanceTypeConfigs": [{"InstanceType": "m7g.xlarge"}],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ReleaseLabel": None}, "Must specify exactly one of the following: release label"),
        ({"ReleaseLabel": "emr-latest"}, "The supplied release label is invalid: emr-latest."),
        ({"AmiVersion": "3.1"}, "Only one AMI version and release label may be specified."),
        ({"ServiceRole": None}, "ServiceRole is required for creating cluster."),
        ({"JobFlowRole": None}, "InstanceProfile is required for creating cluster."),
        ({"StepConcurrencyLevel": 257}, "it must be between 1 and 256"),
        ({"StepConcurrencyLevel": 0}, "it must be between 1 and 256"),
        ({"AutoTerminationPolicy": {"IdleTimeout": 59}}, "it must be between 60 and 604800 seconds"),
        ({"AutoTerminationPolicy": {}}, "it must be between 60 and 604800 seconds"),
        ({"Tags": [{"Key": "", "Value": "x"}]}, "Tag keys must be between 1 and 128"),
        ({"Tags": [{"Key": str(n)} for n in range(51)]}, "at most 50 tags, not 51"),
        ({"Instances": {}}, "one and only one of the following: instance groups"),
        ({"Instances": ONE_NODE | {"InstanceGroups": [MASTER]}}, "one and only one of the following"),
        ({"Instances": {"InstanceGroups": [MASTER], "InstanceFleets": [FLEET]}}, "one and only one of the following"),
        ({"Instances": {"InstanceGroups": [MASTER, MASTER]}}, "exactly one master instance group"),
        ({"Instances": {"InstanceGroups": [MASTER | {"InstanceCount": 2}]}}, "has 2 instances, it must have 1 or 3"),
        ({"Instances": {"MasterInstanceType": "m9.banana"}}, r"Instance type 'm9.banana' is not supported\."),
        ({"Instances": {"MasterInstanceType": "t2.micro"}}, r"Instance type 't2.micro' is not supported\."),
        ({"Instances": ONE_NODE | {"SlaveInstanceType": "c7g"}}, r"Instance type 'c7g' is not supported\."),
        ({"Instances": {"InstanceGroups": [MASTER | {"InstanceType": "m7g"}]}}, "type 'm7g' is not supported"),
        (
            {"Instances": {"InstanceFleets": [FLEET | {"InstanceTypeConfigs": [{"InstanceType": "r7.xlarge"}]}]}},
            "Instance type 'r7.xlarge' is not supported",
        ),
        ({"Instances": {"InstanceFleets": [FLEET | {"InstanceFleetType": "CORE"}]}}, "Zero master instance fleets"),
        ({"Instances": {"InstanceFleets": [FLEET | {"TargetOnDemandCapacity": 2}]}}, "target capacity of exactly 1"),
        (
            {"Instances": {"InstanceGroups": [MASTER, MASTER | {"InstanceRole": "TASK"}]}},
            "Clusters with task nodes must also define core nodes.",
        ),
        ({"Instances": {"MasterInstanceType": "m", "InstanceCount": 3}}, "slave instance type is required"),
        ({"Instances": ONE_NODE | {"Ec2SubnetIds": ["a", "b"]}}, "Only one subnet may be specified"),
    ],
)
def test_clusters(local_emr: LocalEmr, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        local_emr.run(**changes)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize("label", ["emr-7.14.0", "emr-spark-8.1.0"])
def test_releases(local_emr: LocalEmr, label: str) -> None:
    one = {"MasterInstanceType": "x2idn.metal"}  # of a family that Orchard does not offer
    assert local_emr.cluster(local_emr.run(ReleaseLabel=label, keep=False, Instances=one))["ReleaseLabel"] == label


@pytest.mark.parametrize(
    ("steps", "concurrency", "message"),
    [
        ([shell("x", "true")] * 257, 1, "Maximum number of active steps"),
        ([shell("x", "#" * 10240)], 1, "exceed 10240 characters"),
        ([shell("x", "true", "TERMINATE_CLUSTER")], 2, "ActionOnFailure TERMINATE_CLUSTER of step 'x' is not valid"),
        ([shell("x", "true", "CANCEL_AND_WAIT")], 2, "it must be CONTINUE"),
    ],
)
def test_steps(local_emr: LocalEmr, steps: list[Any], concurrency: int, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        local_emr.run(*steps, StepConcurrencyLevel=concurrency)
    cluster = local_emr.run(StepConcurrencyLevel=concurrency)
    with pytest.raises(ClientError, match=message):
        local_emr.emr.add_job_flow_steps(JobFlowId=cluster, Steps=steps)
    assert local_emr.steps(cluster) == []


def test_steps_for_a_cluster_that_is_gone(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(keep=False)
    local_emr.until_state(cluster, "TERMINATED")
    with pytest.raises(ClientError, match="shutting down, terminated, or finished may not be modified"):
        local_emr.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[shell("x", "true")])
    with pytest.raises(ClientError, match=r"Specified job flow ID does not exist\."):
        local_emr.emr.add_job_flow_steps(JobFlowId="j-NONE", Steps=[shell("x", "true")])
