"""The machines that a real EMR would have rented, from a request's groups, fleets or plain counts."""

import math
import secrets
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
    first = request["InstanceTypeConfigs"][0]
    weight = max(1, first.get("WeightedCapacity", 1))
    return [
        Instance(_new_instance_id(), pool.id, first["InstanceType"], market)
        for market, name in (("ON_DEMAND", "TargetOnDemandCapacity"), ("SPOT", "TargetSpotCapacity"))
        for _ in range(math.ceil(request.get(name, 0) / weight))
    ]


def new_instance(group: Pool) -> Instance:
    """Make one more instance of a group."""
    request = group.request
    return Instance(_new_instance_id(), group.id, request["InstanceType"], request.get("Market", "ON_DEMAND"))


def _new_instance_id() -> str:
    return f"i-{secrets.token_hex(9)[:17]}"


def living(cluster: Cluster, pool: Pool) -> list[Instance]:
    """Give a pool's instances that are not terminated."""
    return [each for each in cluster.instances if each.pool == pool.id and each.ended is None]
