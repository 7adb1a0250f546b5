"""The machines that a real EMR would have rented, from a request's groups, fleets or plain counts."""

import hashlib
import math
import re
import secrets
import string
import time
from typing import Any

from local.emr.state import Cluster, Instance, Pool, new_id


def pools_of(instances: dict[str, Any]) -> list[Pool]:
    """Make the groups or fleets that RunJobFlow's ``Instances`` ask for."""
    if "InstanceFleets" in instances:
        return [Pool(new_id("if"), each["InstanceFleetType"], each) for each in instances["InstanceFleets"]]
    groups = instances.get("InstanceGroups") or _plain_groups(instances)
    return [Pool(new_id("ig"), each["InstanceRole"], each) for each in groups]


def _plain_groups(instances: dict[str, Any]) -> list[dict[str, Any]]:
    count = instances.get("InstanceCount", 1)
    groups = [{"InstanceRole": "MASTER", "InstanceType": instances["MasterInstanceType"], "InstanceCount": 1}]
    if count > 1:
        groups.append(
            {"InstanceRole": "CORE", "InstanceType": instances["SlaveInstanceType"], "InstanceCount": count - 1}
        )
    return groups


def instances_of(pool: Pool) -> list[Instance]:
    """Make the instances of a new group or fleet."""
    request = pool.request
    if not pool.is_fleet:
        return [new_instance(pool) for _ in range(request["InstanceCount"])]
    first = request["InstanceTypeConfigs"][0]["InstanceType"]
    return [
        Instance(_new_instance_id(), pool.id, first, market)
        for market, name in (("ON_DEMAND", "TargetOnDemandCapacity"), ("SPOT", "TargetSpotCapacity"))
        for _ in range(math.ceil(request.get(name, 0) / weight(pool, first)))
    ]


def weight(fleet: Pool, instance_type: str) -> int:
    """Say how much of a fleet's target an instance is; of the primary node's it is always 1."""
    config = next(each for each in fleet.request["InstanceTypeConfigs"] if each["InstanceType"] == instance_type)
    return 1 if fleet.role == "MASTER" else max(1, config.get("WeightedCapacity", 1))


def new_instance(group: Pool) -> Instance:
    """Make one more instance of a group."""
    request = group.request
    return Instance(_new_instance_id(), group.id, request["InstanceType"], request.get("Market", "ON_DEMAND"))


def _new_instance_id() -> str:
    return f"i-{secrets.token_hex(9)[:17]}"


def block_devices(config: dict[str, Any]) -> dict[str, Any]:
    """Describe the disks that a group, or one type of a fleet, asks for: each volume under its device's name."""
    ebs = config.get("EbsConfiguration", {})
    wanted = [
        each["VolumeSpecification"]
        for each in ebs.get("EbsBlockDeviceConfigs", ())
        for _ in range(each.get("VolumesPerInstance", 1))
    ]
    devices = [
        {"VolumeSpecification": volume, "Device": f"/dev/sd{letter}"}
        for volume, letter in zip(wanted, string.ascii_lowercase[1:], strict=False)
    ]
    return {"EbsBlockDevices": devices, "EbsOptimized": ebs.get("EbsOptimized")}


def volumes(pool: Pool, instance: Instance) -> list[dict[str, str]]:
    """Name the volumes of an instance."""
    configs = pool.request["InstanceTypeConfigs"] if pool.is_fleet else [pool.request]
    config = next(each for each in configs if each["InstanceType"] == instance.type)
    devices = [each["Device"] for each in block_devices(config)["EbsBlockDevices"]]
    return [
        {"Device": device, "VolumeId": f"vol-{hashlib.sha256(f'{instance.id}{device}'.encode()).hexdigest()[:17]}"}
        for device in devices
    ]


def normalized_hours(cluster: Cluster) -> int:
    """Count the hours begun by each instance, in those of an m1.small: an xlarge makes eight of one."""
    ready, now = cluster.ready, time.time()
    if ready is None:
        return 0
    lived = ((each.type, (each.ended or now) - max(each.created, ready)) for each in cluster.instances)
    return sum(_size(of) * max(1, math.ceil(seconds / 3600)) for of, seconds in lived)


def _size(instance_type: str) -> int:
    size = instance_type.partition(".")[2]
    many = re.fullmatch(r"(\d*)xlarge|metal-(\d+)xl", size)
    if many is None:
        return {"small": 1, "medium": 2, "large": 4, "metal": 128}.get(size, 1)
    return 8 * int(many[1] or many[2] or 1)


def living(cluster: Cluster, pool: Pool) -> list[Instance]:
    """Give a pool's instances that are not terminated."""
    return [each for each in cluster.instances if each.pool == pool.id and each.ended is None]
