"""Nodes: the ``Instances`` of a RunJobFlow request: which machines a cluster is made of, and where they stand.

Instance groups, where one type in one subnet will do. Instance fleets, where EMR is to choose among types, markets or
subnets; their capacities are vCPUs, so that a plan's wish means the same whatever it is met with.
"""

from typing import Any, NamedTuple

from orchard.cluster.spark_configuration import of_nodes
from orchard.instances import INSTANCES
from orchard.plan import Plan
from orchard.settings import Settings

ROOT_GIB = 20  # EMR's default is 15, of which its own software takes most; the nodes' Python lies there, too
SPOT_MINUTES = 10  # until what spot did not give is taken on demand


def node_gib(settings: Settings) -> int:
    """Return the GiB of a node's volumes, data and root."""
    return settings.ebs_gib + ROOT_GIB


class Capacity(NamedTuple):
    """vCPUs that core and task nodes have by market; the primary node's are not in it."""

    on_demand: int
    spot: int


def capacity(instance_type: str, vcpus: int, spot: bool) -> Capacity:
    """Divide vCPUs between the markets, where `spot` nodes are wanted; the type is the one that counts the nodes.

    One node stays on demand: it holds HDFS, where Spark keeps what a job was shipped with, and of which EMR makes a
    single copy on small clusters. A spot node that is taken away then costs its tasks, and not the run.
    """
    first = INSTANCES[instance_type].vcpus if spot else vcpus
    return Capacity(first, vcpus - first)


def instances(settings: Settings, plan: Plan) -> dict[str, Any]:
    """Build the ``Instances`` of a run's cluster: one primary node, which computes nothing, and the others."""
    several = len(plan.instance_types) > 1 or plan.spot or len(settings.subnets) > 1
    request: dict[str, Any] = {
        **(_fleets(settings, plan) if several else _groups(settings, plan)),
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
    }
    if settings.primary_security_group:
        request["EmrManagedMasterSecurityGroup"] = settings.primary_security_group
        request["EmrManagedSlaveSecurityGroup"] = settings.core_security_group
        request["ServiceAccessSecurityGroup"] = settings.service_security_group
    return request


def _groups(settings: Settings, plan: Plan) -> dict[str, Any]:
    groups = [
        {
            "Name": name,
            "InstanceRole": role,
            "Market": "ON_DEMAND",
            "InstanceType": plan.instance_type,
            "InstanceCount": count,
            "EbsConfiguration": _volumes(settings),
        }
        for name, role, count in (("primary", "MASTER", 1), ("core", "CORE", plan.core_nodes))
    ]
    groups[1]["Configurations"] = of_nodes(plan.instance_type)
    return {
        "InstanceGroups": groups,
        **({"Ec2SubnetId": settings.subnets[0]} if settings.subnets else {}),
    }


def _fleets(settings: Settings, plan: Plan) -> dict[str, Any]:
    on_demand, spot = capacity(plan.instance_type, plan.vcpus, plan.spot)
    fleets = [_fleet("primary", "MASTER", settings, plan, 1, 0), _fleet("core", "CORE", settings, plan, on_demand, 0)]
    if spot:
        fleets.append(_fleet("task", "TASK", settings, plan, 0, spot))
    return {
        "InstanceFleets": fleets,
        **({"Ec2SubnetIds": list(settings.subnets)} if settings.subnets else {}),
    }


def _fleet(name: str, role: str, settings: Settings, plan: Plan, on_demand: int, spot: int) -> dict[str, Any]:
    # The best that EMR can do on demand, and what it and EC2 advise for spot.
    launch: dict[str, Any] = {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
    if spot:
        launch["SpotSpecification"] = {
            "AllocationStrategy": "price-capacity-optimized",
            "TimeoutDurationMinutes": SPOT_MINUTES,
            "TimeoutAction": "SWITCH_TO_ON_DEMAND",
        }
    return {
        "Name": name,
        "InstanceFleetType": role,
        "TargetOnDemandCapacity": on_demand,
        "TargetSpotCapacity": spot,
        "InstanceTypeConfigs": [
            {
                "InstanceType": one,
                "WeightedCapacity": 1 if role == "MASTER" else INSTANCES[one].vcpus,
                "EbsConfiguration": _volumes(settings),
                **({} if role == "MASTER" else {"Configurations": of_nodes(one)}),
            }
            for one in plan.instance_types
        ],
        "LaunchSpecifications": launch,
    }


def _volumes(settings: Settings) -> dict[str, Any]:
    """One volume a node, whatever EMR's default for its type would be."""
    volume = {"VolumeType": "gp3", "SizeInGB": settings.ebs_gib}
    return {"EbsBlockDeviceConfigs": [{"VolumeSpecification": volume, "VolumesPerInstance": 1}], "EbsOptimized": True}
