"""Calls that change or show one property of a cluster."""

import json

import pytest
from botocore.exceptions import ClientError

from orchard.instances import INSTANCES
from tests.local.emr.servers import LocalEmr

LIMITS = {"UnitType": "Instances", "MinimumCapacityUnits": 2, "MaximumCapacityUnits": 10}


def test_tags(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}])
    local_emr.emr.add_tags(ResourceId=cluster, Tags=[{"Key": "b", "Value": "2"}, {"Key": "c"}])
    local_emr.emr.remove_tags(ResourceId=cluster, TagKeys=["a", "none"])
    assert local_emr.cluster(cluster)["Tags"] == [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""}]
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    with pytest.raises(ClientError, match="Tags cannot be modified on terminated clusters"):
        local_emr.emr.add_tags(ResourceId=cluster, Tags=[{"Key": "d", "Value": ""}])


def test_policies(local_emr: LocalEmr) -> None:
    emr = local_emr.emr
    cluster = local_emr.run(AutoTerminationPolicy={"IdleTimeout": 3600})
    assert emr.get_auto_termination_policy(ClusterId=cluster)["AutoTerminationPolicy"] == {"IdleTimeout": 3600}
    with pytest.raises(ClientError, match="IdleTimeout is 604801, it must be between 60 and 604800"):
        emr.put_auto_termination_policy(ClusterId=cluster, AutoTerminationPolicy={"IdleTimeout": 604801})
    emr.remove_auto_termination_policy(ClusterId=cluster)
    assert "AutoTerminationPolicy" not in emr.get_auto_termination_policy(ClusterId=cluster)
    emr.put_managed_scaling_policy(ClusterId=cluster, ManagedScalingPolicy={"ComputeLimits": LIMITS})
    assert emr.get_managed_scaling_policy(ClusterId=cluster)["ManagedScalingPolicy"] == {"ComputeLimits": LIMITS}
    for wrong in (LIMITS | {"MaximumCapacityUnits": 1}, LIMITS | {"MaximumCoreCapacityUnits": 11}):
        with pytest.raises(ClientError, match=r"MaximumC|ComputeLimits from 2 to 1"):
            emr.put_managed_scaling_policy(ClusterId=cluster, ManagedScalingPolicy={"ComputeLimits": wrong})
    emr.remove_managed_scaling_policy(ClusterId=cluster)
    assert "ManagedScalingPolicy" not in emr.get_managed_scaling_policy(ClusterId=cluster)


def test_flags(local_emr: LocalEmr) -> None:
    cluster = local_emr.run()
    ids = {"JobFlowIds": [cluster]}
    local_emr.emr.set_termination_protection(TerminationProtected=True, **ids)
    local_emr.emr.set_visible_to_all_users(VisibleToAllUsers=False, **ids)
    local_emr.emr.set_unhealthy_node_replacement(UnhealthyNodeReplacement=False, **ids)
    described = local_emr.cluster(cluster)
    assert described["TerminationProtected"] is True
    assert described["VisibleToAllUsers"] is described["UnhealthyNodeReplacement"] is False
    with pytest.raises(ClientError, match="does not exist"):
        local_emr.emr.set_termination_protection(TerminationProtected=False, JobFlowIds=[cluster, "j-NONE"])
    assert local_emr.cluster(cluster)["TerminationProtected"] is True
    local_emr.emr.set_termination_protection(TerminationProtected=False, **ids)
    local_emr.emr.terminate_job_flows(**ids)


def test_concurrency_that_makes_no_sense(local_emr: LocalEmr) -> None:
    cluster = local_emr.run()
    with pytest.raises(ClientError, match="StepConcurrencyLevel is 0, it must be between 1 and 256"):
        local_emr.emr.modify_cluster(ClusterId=cluster, StepConcurrencyLevel=0)


def test_releases(local_emr: LocalEmr) -> None:
    labels = local_emr.emr.list_release_labels()["ReleaseLabels"]
    assert "emr-7.14.0" in labels
    found = local_emr.emr.list_release_labels(Filters={"Application": "spark@4.1.1"})["ReleaseLabels"]
    assert found == ["emr-spark-8.1.0"]
    applications = local_emr.emr.describe_release_label(ReleaseLabel="emr-7.14.0")["Applications"]
    assert {"Name": "Spark", "Version": "3.5.8"} in applications
    with pytest.raises(ClientError, match="is not known to this local EMR"):
        local_emr.emr.describe_release_label(ReleaseLabel="emr-1.0.0")


def test_instance_types(local_emr: LocalEmr) -> None:
    first = local_emr.emr.list_supported_instance_types(ReleaseLabel="emr-7.14.0")
    rest = local_emr.emr.list_supported_instance_types(ReleaseLabel="emr-7.14.0", Marker=first["Marker"])
    assert len(first["SupportedInstanceTypes"]) == 50
    found = {each["Type"]: each for page in (first, rest) for each in page["SupportedInstanceTypes"]}
    own = {name: (of["VCPU"], of["MemoryGB"], of["Architecture"].lower()) for name, of in found.items()}
    assert own == INSTANCES  # those that Orchard offers
    assert found["c7g.2xlarge"] == {
        "Type": "c7g.2xlarge",
        "MemoryGB": 16.0,
        "StorageGB": 0,
        "VCPU": 8,
        "Is64BitsOnly": True,
        "InstanceFamilyId": "c7g",
        "EbsOptimizedAvailable": True,
        "EbsOptimizedByDefault": True,
        "NumberOfDisks": 0,
        "EbsStorageOnly": True,
        "Architecture": "AARCH64",
    }
    assert (found["m5d.4xlarge"]["StorageGB"], found["m5d.4xlarge"]["EbsStorageOnly"]) == (600, False)
    with pytest.raises(ClientError, match="release label is invalid: bananas"):
        local_emr.emr.list_supported_instance_types(ReleaseLabel="bananas")


def test_security_configurations(local_emr: LocalEmr) -> None:
    emr, sealed = local_emr.emr, '{"EncryptionConfiguration": {}}'
    made = emr.create_security_configuration(Name="sealed", SecurityConfiguration=sealed)
    described = emr.describe_security_configuration(Name="sealed")
    assert described["SecurityConfiguration"] == sealed
    assert described["CreationDateTime"] == made["CreationDateTime"]
    assert [each["Name"] for each in emr.list_security_configurations()["SecurityConfigurations"]] == ["sealed"]
    kept = json.loads((local_emr.data / "security-configurations.json").read_text())  # read when it starts again
    assert kept["sealed"]["SecurityConfiguration"] == sealed
    with pytest.raises(ClientError, match="with name 'sealed' already exists"):
        emr.create_security_configuration(Name="sealed", SecurityConfiguration=sealed)
    with pytest.raises(ClientError, match="'open' is not a JSON object"):
        emr.create_security_configuration(Name="open", SecurityConfiguration="[]")
    emr.delete_security_configuration(Name="sealed")
    for call in (emr.describe_security_configuration, emr.delete_security_configuration):
        with pytest.raises(ClientError, match="with name 'sealed' does not exist") as caught:
            call(Name="sealed")
        assert caught.value.response["Error"]["Code"] == "InvalidRequestException"


def test_public_access_is_blocked(local_emr: LocalEmr) -> None:
    answer = local_emr.emr.get_block_public_access_configuration()
    assert answer["BlockPublicAccessConfiguration"]["BlockPublicSecurityGroupRules"] is True
