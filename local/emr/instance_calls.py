"""The calls about instances, which exist in name only."""

import time
from typing import Any

from local.emr import describe, rules
from local.emr.calls import Call, Json
from local.emr.emr import Emr
from local.emr.errors import invalid, validation
from local.emr.instances import block_devices, instances_of, living, new_instance, pools_of, weight
from local.emr.paging import page
from local.emr.state import Cluster, Instance, Pool

_OTHER = {"groups": "fleets", "fleets": "groups"}


def list_instances(emr: Emr, request: Json) -> Json:
    cluster = emr.cluster(request["ClusterId"])
    wanted = request.get("InstanceGroupId") or request.get("InstanceFleetId")
    if wanted and wanted not in {pool.id for pool in cluster.pools}:
        raise invalid(f"The cluster has no instance group or fleet '{wanted}'.")
    roles = set(request.get("InstanceGroupTypes", ())) | {request.get("InstanceFleetType")} - {None}
    states = request.get("InstanceStates")
    pools = {pool.id: pool for pool in cluster.pools if wanted in (None, pool.id) and (not roles or pool.role in roles)}
    found = [
        (n, instance)
        for n, instance in enumerate(cluster.instances)
        if instance.pool in pools and (not states or describe.instance_state(cluster, instance) in states)
    ]
    part, marker = page(found, request.get("Marker"))
    summaries = [describe.instance_summary(cluster, pools[instance.pool], instance) for instance in part]
    return {"Instances": summaries, "Marker": marker}


def list_instance_groups(emr: Emr, request: Json) -> Json:
    cluster = emr.cluster(request["ClusterId"])
    _must_have("groups", cluster)
    part, marker = page(enumerate(cluster.pools), request.get("Marker"))
    return {"InstanceGroups": [_group(cluster, pool) for pool in part], "Marker": marker}


def list_instance_fleets(emr: Emr, request: Json) -> Json:
    cluster = emr.cluster(request["ClusterId"])
    _must_have("fleets", cluster)
    part, marker = page(enumerate(cluster.pools), request.get("Marker"))
    return {"InstanceFleets": [_fleet(cluster, pool) for pool in part], "Marker": marker}


def add_instance_groups(emr: Emr, request: Json) -> Json:
    cluster = emr.job_flow(request["JobFlowId"])
    if cluster.state not in ("RUNNING", "WAITING"):
        raise validation("Instance groups may only be added when the cluster is running or waiting")
    if cluster.pools[0].is_fleet:
        raise validation("Instance groups cannot be added to a cluster that uses instance fleets.")
    for group in request["InstanceGroups"]:
        if group["InstanceRole"] != "TASK":
            raise validation(f"A {group['InstanceRole']} instance group may not be added, only TASK ones.")
        rules.check_group(group)
    roles = [pool.role for pool in cluster.pools]
    if "CORE" not in roles:
        raise validation("Clusters with task nodes must also define core nodes.")
    if roles.count("TASK") + len(request["InstanceGroups"]) > rules.MOST_TASK_GROUPS:
        raise validation(f"A cluster can have at most {rules.MOST_TASK_GROUPS} task instance groups.")
    added = pools_of(request)
    cluster.pools += added
    cluster.instances += [instance for pool in added for instance in instances_of(pool)]
    emr.lives[cluster.id].wake()
    return {
        "JobFlowId": cluster.id,
        "InstanceGroupIds": [pool.id for pool in added],
        "ClusterArn": describe.arn(cluster, emr.region),
    }


def modify_instance_groups(emr: Emr, request: Json) -> Json:
    changes = request.get("InstanceGroups", [])
    found: list[tuple[Cluster, Pool, Json]] = []
    for change in changes:
        found += [
            (cluster, pool, change)
            for cluster in emr.clusters.values()
            for pool in cluster.pools
            if pool.id == change["InstanceGroupId"] and request.get("ClusterId") in (None, cluster.id)
        ]
    if len(found) < len(changes):
        known = {pool.id for _, pool, _ in found}
        missing = [change["InstanceGroupId"] for change in changes if change["InstanceGroupId"] not in known]
        raise validation(f"Instance group id '{missing[0]}' is not valid.")
    for cluster, pool, change in found:
        _check_change(cluster, pool, change)
    for cluster, pool, change in found:
        _resize(cluster, pool, change)
        emr.lives[cluster.id].wake()
    return {}


def _check_change(cluster: Cluster, pool: Pool, change: Json) -> None:
    if cluster.state not in ("RUNNING", "WAITING"):
        raise validation("An instance group may only be modified when the cluster is running or waiting")
    count = change.get("InstanceCount")
    if pool.role == "MASTER" and count not in (None, 1):
        raise validation("A master instance group may not be resized.")
    if count is not None and count < (1 if pool.role == "CORE" else 0):
        raise validation(f"InstanceCount is {count}: a {pool.role} instance group cannot be that small.")


def _resize(cluster: Cluster, pool: Pool, change: Json) -> None:
    alive = living(cluster, pool)
    count = change.get("InstanceCount", len(alive))
    first = set(change.get("EC2InstanceIdsToTerminate", ()))
    going = [each for each in alive if each.id in first]
    rest = [each for each in alive if each.id not in first]
    going += rest[count:] if len(rest) > count else []
    for instance in going:
        instance.ended = time.time()
    cluster.instances += [new_instance(pool) for _ in range(count - len(living(cluster, pool)))]
    pool.request["InstanceCount"] = count
    if "Configurations" in change:
        pool.request["Configurations"] = change["Configurations"]


def _must_have(kind: str, cluster: Cluster) -> None:
    other = _OTHER[kind]
    if cluster.pools[0].is_fleet != (kind == "fleets"):
        raise invalid(
            f"Instance {kind} and instance {other} are mutually exclusive. The EMR cluster specified in the request "
            f"uses instance {other}. The ListInstance{kind.capitalize()} operation does not support clusters that use "
            f"instance {other}. Use the ListInstance{other.capitalize()} operation instead."
        )


def _running(cluster: Cluster, pool: Pool) -> list[Instance]:
    return [each for each in living(cluster, pool) if describe.instance_state(cluster, each) == "RUNNING"]


def _group(cluster: Cluster, pool: Pool) -> Json:
    request = pool.request
    return {
        "Id": pool.id,
        "Name": request.get("Name"),
        "Market": request.get("Market", "ON_DEMAND"),
        "InstanceGroupType": pool.role,
        "BidPrice": request.get("BidPrice"),
        "InstanceType": request["InstanceType"],
        "RequestedInstanceCount": request["InstanceCount"],
        "RunningInstanceCount": len(_running(cluster, pool)),
        "Status": describe.pool_status(cluster),
        "Configurations": request.get("Configurations", []),
        **block_devices(request),
        "CustomAmiId": request.get("CustomAmiId"),
    }


def _fleet(cluster: Cluster, pool: Pool) -> Json:
    request = pool.request
    specifications: list[dict[str, Any]] = [
        {key: value for key, value in each.items() if key != "EbsConfiguration"} | block_devices(each)
        for each in request["InstanceTypeConfigs"]
    ]
    provisioned = {"ON_DEMAND": 0, "SPOT": 0}
    for instance in _running(cluster, pool):
        provisioned[instance.market] += weight(pool, instance.type)
    return {
        "Id": pool.id,
        "Name": request.get("Name"),
        "Status": describe.pool_status(cluster),
        "InstanceFleetType": pool.role,
        "TargetOnDemandCapacity": request.get("TargetOnDemandCapacity", 0),
        "TargetSpotCapacity": request.get("TargetSpotCapacity", 0),
        "ProvisionedOnDemandCapacity": provisioned["ON_DEMAND"],
        "ProvisionedSpotCapacity": provisioned["SPOT"],
        "InstanceTypeSpecifications": specifications,
        "LaunchSpecifications": request.get("LaunchSpecifications"),
        "ResizeSpecifications": request.get("ResizeSpecifications"),
        "Context": request.get("Context"),
    }


CALLS: dict[str, Call] = {
    "AddInstanceGroups": add_instance_groups,
    "ListInstanceFleets": list_instance_fleets,
    "ListInstanceGroups": list_instance_groups,
    "ListInstances": list_instances,
    "ModifyInstanceGroups": modify_instance_groups,
}
