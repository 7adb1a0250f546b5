"""Instances exist in name: their lists are what a real EMR's would be."""

import pytest
from botocore.exceptions import ClientError

from tests.local.emr.servers import LocalEmr

DISK = {"VolumeType": "gp3", "SizeInGB": 100}
GROUPS = {
    "InstanceGroups": [
        {"Name": "m", "InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1},
        {
            "Name": "c",
            "InstanceRole": "CORE",
            "InstanceType": "c7g.2xlarge",
            "InstanceCount": 2,
            "Market": "SPOT",
            "EbsConfiguration": {
                "EbsOptimized": True,
                "EbsBlockDeviceConfigs": [{"VolumeSpecification": DISK, "VolumesPerInstance": 2}],
            },
        },
    ]
}
FLEETS = {
    "InstanceFleets": [
        {
            "InstanceFleetType": "MASTER",
            "TargetOnDemandCapacity": 1,
            "InstanceTypeConfigs": [{"InstanceType": "m7g.xlarge"}],
        },
        {
            "InstanceFleetType": "CORE",
            "TargetSpotCapacity": 8,
            "InstanceTypeConfigs": [
                {
                    "InstanceType": "c7g.2xlarge",
                    "WeightedCapacity": 3,
                    "EbsConfiguration": {"EbsBlockDeviceConfigs": [{"VolumeSpecification": DISK}]},
                }
            ],
        },
    ]
}


def test_groups(local_emr: LocalEmr) -> None:
    emr = local_emr.emr
    cluster = local_emr.run(Instances=GROUPS)
    local_emr.until_state(cluster, "WAITING")
    master, core = emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"]
    assert (master["InstanceGroupType"], core["Name"], core["Market"]) == ("MASTER", "c", "SPOT")
    assert core["RequestedInstanceCount"] == core["RunningInstanceCount"] == 2
    assert core["Status"]["State"] == "RUNNING"
    assert core["EbsOptimized"] is True
    assert core["EbsBlockDevices"] == [
        {"VolumeSpecification": DISK, "Device": "/dev/sdb"},
        {"VolumeSpecification": DISK, "Device": "/dev/sdc"},
    ]
    assert local_emr.cluster(cluster)["NormalizedInstanceHours"] == 8 + 2 * 16
    assert len(emr.list_instances(ClusterId=cluster)["Instances"]) == 3
    listed = emr.list_instances(ClusterId=cluster, InstanceGroupTypes=["CORE"])["Instances"]
    assert {each["InstanceType"] for each in listed} == {"c7g.2xlarge"}
    assert {each["InstanceGroupId"] for each in listed} == {core["Id"]}
    assert [[volume["Device"] for volume in each["EbsVolumes"]] for each in listed] == [["/dev/sdb", "/dev/sdc"]] * 2
    assert len({volume["VolumeId"] for each in listed for volume in each["EbsVolumes"]}) == 4
    with pytest.raises(ClientError, match=r"mutually exclusive.*uses instance groups.*Use the ListInstanceGroups"):
        emr.list_instance_fleets(ClusterId=cluster)

    def resize(group: str, count: int) -> None:
        emr.modify_instance_groups(
            ClusterId=cluster, InstanceGroups=[{"InstanceGroupId": group, "InstanceCount": count}]
        )

    task = {"InstanceRole": "TASK", "InstanceType": "c7g.xlarge", "InstanceCount": 2}
    (added,) = emr.add_instance_groups(JobFlowId=cluster, InstanceGroups=[task])["InstanceGroupIds"]
    assert [each["Id"] for each in emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"]][2:] == [added]
    assert len(emr.list_instances(ClusterId=cluster, InstanceGroupId=added)["Instances"]) == 2
    for wrong, message in (
        ({"InstanceRole": "CORE"}, "A CORE instance group may not be added, only TASK ones"),
        ({"InstanceType": "c7"}, "Instance type 'c7' is not supported"),
        ({"InstanceCount": 0}, "must be greater than 0"),
    ):
        with pytest.raises(ClientError, match=message):
            emr.add_instance_groups(JobFlowId=cluster, InstanceGroups=[task | wrong])
    resize(added, 0)
    resize(core["Id"], 4)
    assert len(emr.list_instances(ClusterId=cluster, InstanceStates=["RUNNING"])["Instances"]) == 5
    resize(core["Id"], 1)
    assert len(emr.list_instances(ClusterId=cluster, InstanceStates=["TERMINATED"])["Instances"]) == 3 + 2
    with pytest.raises(ClientError, match="A master instance group may not be resized"):
        resize(master["Id"], 2)
    with pytest.raises(ClientError, match="cannot be that small"):
        resize(core["Id"], 0)
    with pytest.raises(ClientError, match="Instance group id 'ig-NONE' is not valid"):
        resize("ig-NONE", 1)
    emr.terminate_job_flows(JobFlowIds=[cluster])
    local_emr.until_state(cluster, "TERMINATED")
    assert not emr.list_instances(ClusterId=cluster, InstanceStates=["RUNNING"])["Instances"]
    assert emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"][1]["RunningInstanceCount"] == 0
    with pytest.raises(ClientError, match="only be modified when the cluster is running or waiting"):
        resize(core["Id"], 2)
    with pytest.raises(ClientError, match="only be added when the cluster is running or waiting"):
        emr.add_instance_groups(JobFlowId=cluster, InstanceGroups=[task])


def test_fleets(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(Instances=FLEETS)
    local_emr.until_state(cluster, "WAITING")
    assert local_emr.cluster(cluster)["InstanceCollectionType"] == "INSTANCE_FLEET"
    _, core = local_emr.emr.list_instance_fleets(ClusterId=cluster)["InstanceFleets"]
    assert (core["TargetSpotCapacity"], core["ProvisionedSpotCapacity"]) == (8, 9)  # three of them, each 3
    assert core["InstanceTypeSpecifications"] == [
        {
            "InstanceType": "c7g.2xlarge",
            "WeightedCapacity": 3,
            "EbsBlockDevices": [{"VolumeSpecification": DISK, "Device": "/dev/sdb"}],
        }
    ]
    listed = local_emr.emr.list_instances(ClusterId=cluster, InstanceFleetType="CORE")["Instances"]
    assert [(each["Market"], each["InstanceFleetId"]) for each in listed] == [("SPOT", core["Id"])] * 3
    with pytest.raises(ClientError, match="Use the ListInstanceFleets operation instead"):
        local_emr.emr.list_instance_groups(ClusterId=cluster)


def test_plain_counts(local_emr: LocalEmr) -> None:
    plain = {"MasterInstanceType": "m7g.xlarge", "SlaveInstanceType": "c7g.xlarge", "InstanceCount": 3}
    cluster = local_emr.run(Instances=plain)
    groups = local_emr.emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"]
    assert [(each["InstanceGroupType"], each["RequestedInstanceCount"]) for each in groups] == [
        ("MASTER", 1),
        ("CORE", 2),
    ]
