from typing import Any

from orchard.cluster.nodes import capacity, instances
from tests.plans import SETTINGS, plan, settings

TWO = ("subnet-1", "subnet-2")
VOLUME = {
    "EbsBlockDeviceConfigs": [
        {"VolumeSpecification": {"VolumeType": "gp3", "SizeInGB": 100}, "VolumesPerInstance": 1},
    ],
    "EbsOptimized": True,
}


def config(instance_type: str, weight: int, yarn: str | None) -> dict[str, Any]:
    made = {"InstanceType": instance_type, "WeightedCapacity": weight, "EbsConfiguration": VOLUME}
    properties = {"yarn.nodemanager.resource.memory-mb": yarn}
    return made | ({"Configurations": [{"Classification": "yarn-site", "Properties": properties}]} if yarn else {})


def test_one_type_in_one_subnet_makes_groups() -> None:
    request = instances(settings(subnets=("subnet-1",)), plan())
    assert [(one["InstanceRole"], one["InstanceCount"]) for one in request["InstanceGroups"]] == [
        ("MASTER", 1),
        ("CORE", 2),
    ]
    assert request["Ec2SubnetId"] == "subnet-1"
    assert "Ec2SubnetIds" not in request
    assert "Ec2SubnetId" not in instances(SETTINGS, plan())


def test_several_subnets_make_fleets() -> None:
    """Of which EMR takes one that has room; groups take no more than one."""
    request = instances(settings(subnets=TWO, ebs_gib=100), plan())
    lowest = {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
    assert request == {
        "InstanceFleets": [
            {
                "Name": "primary",
                "InstanceFleetType": "MASTER",
                "TargetOnDemandCapacity": 1,
                "TargetSpotCapacity": 0,
                "InstanceTypeConfigs": [config("m5.xlarge", 1, None)],
                "LaunchSpecifications": lowest,
            },
            {
                "Name": "core",
                "InstanceFleetType": "CORE",
                "TargetOnDemandCapacity": 8,
                "TargetSpotCapacity": 0,
                "InstanceTypeConfigs": [config("m5.xlarge", 4, "12288")],
                "LaunchSpecifications": lowest,
            },
        ],
        "Ec2SubnetIds": ["subnet-1", "subnet-2"],
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
    }


def test_spot_is_for_all_but_the_primary_and_one_node() -> None:
    types = ("m7g.xlarge", "m6g.2xlarge")
    wished = plan(instance_type="m7g.xlarge", instance_types=types, spot=True, core_nodes=5, vcpus=20)
    primary, core, task = instances(settings(ebs_gib=100), wished)["InstanceFleets"]
    assert (primary["TargetOnDemandCapacity"], primary["TargetSpotCapacity"]) == (1, 0)
    assert primary["InstanceTypeConfigs"] == [config("m7g.xlarge", 1, None), config("m6g.2xlarge", 1, None)]
    assert (core["TargetOnDemandCapacity"], core["TargetSpotCapacity"]) == (4, 0)
    assert task == {
        "Name": "task",
        "InstanceFleetType": "TASK",
        "TargetOnDemandCapacity": 0,
        "TargetSpotCapacity": 16,
        "InstanceTypeConfigs": [config("m7g.xlarge", 4, "12288"), config("m6g.2xlarge", 8, "24576")],
        "LaunchSpecifications": {
            "OnDemandSpecification": {"AllocationStrategy": "lowest-price"},
            "SpotSpecification": {
                "AllocationStrategy": "price-capacity-optimized",
                "TimeoutDurationMinutes": 10,
                "TimeoutAction": "SWITCH_TO_ON_DEMAND",
            },
        },
    }
    assert capacity("m7g.xlarge", 20, True) == (4, 16)


def test_a_run_of_one_node_has_none_on_spot() -> None:
    wished = plan(spot=True, core_nodes=1, vcpus=4)
    fleets = instances(SETTINGS, wished)["InstanceFleets"]
    assert [one["Name"] for one in fleets] == ["primary", "core"]
    assert capacity("m5.xlarge", 4, True) == (4, 0)
    assert capacity("m5.xlarge", 8, False) == (8, 0)


def test_security_groups() -> None:
    chosen = settings(primary_security_group="sg-1", core_security_group="sg-2", service_security_group="sg-3")
    request = instances(chosen, plan())
    assert {name: group for name, group in request.items() if name.endswith("SecurityGroup")} == {
        "EmrManagedMasterSecurityGroup": "sg-1",
        "EmrManagedSlaveSecurityGroup": "sg-2",
        "ServiceAccessSecurityGroup": "sg-3",
    }
    assert not [name for name in instances(SETTINGS, plan()) if name.endswith("SecurityGroup")]
