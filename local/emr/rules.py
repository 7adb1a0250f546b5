"""What EMR refuses although the service model allows it."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from local.emr import machine_types
from local.emr.errors import validation
from local.emr.state import Cluster, Step

RELEASE = re.compile(r"emr-([4-9]\.\d+\.\d+|spark-\d+\.\d+\.\d+)(-latest)?")
MOST_STEPS = 256
MOST_CHARACTERS = 10240
MOST_TAGS = 50
IDLE = (60, 604800)
CONCURRENCY = (1, 256)
PRIMARY_NODES = (1, 3)
MOST_TASK_GROUPS = 48


def check_cluster(request: dict[str, Any]) -> None:
    """Refuse a RunJobFlow that EMR would refuse."""
    label, ami = request.get("ReleaseLabel"), request.get("AmiVersion")
    if label and ami:
        raise validation(
            f"Only one AMI version and release label may be specified. Provided AMI: {ami}, release label: {label}."
        )
    if ami:
        raise validation(f"The supplied ami version is invalid: {ami}. This local EMR knows release labels only.")
    if not label:
        raise validation("Must specify exactly one of the following: release label, AMI version, or Hadoop version.")
    if not RELEASE.fullmatch(label):
        raise validation(f"The supplied release label is invalid: {label}.")
    if not request.get("ServiceRole"):
        raise validation("ServiceRole is required for creating cluster.")
    if not request.get("JobFlowRole"):
        raise validation("InstanceProfile is required for creating cluster.")
    check_instances(request["Instances"])
    check_concurrency(request.get("StepConcurrencyLevel", 1))
    if "AutoTerminationPolicy" in request:
        check_idle(request["AutoTerminationPolicy"])
    if "ManagedScalingPolicy" in request:
        check_scaling(request["ManagedScalingPolicy"])
    if len(request.get("Tags", ())) > MOST_TAGS:
        raise validation(f"A cluster can have at most {MOST_TAGS} tags, not {len(request['Tags'])}.")
    for tag in request.get("Tags", ()):
        check_tag(tag)


def check_instances(instances: dict[str, Any]) -> None:
    """Refuse instances that contradict each other."""
    plain = {"InstanceCount", "MasterInstanceType", "SlaveInstanceType"} & set(instances)
    ways = [bool(instances.get("InstanceGroups")), bool(instances.get("InstanceFleets")), bool(plain)]
    if sum(ways) != 1:
        raise validation(
            "Please configure instances using one and only one of the following: instance groups; instance fleets; "
            "instance count, master and slave instance type."
        )
    if instances.get("Ec2SubnetId") and instances.get("Ec2SubnetIds"):
        raise validation("Only one of Ec2SubnetId and Ec2SubnetIds may be specified.")
    if len(instances.get("Ec2SubnetIds", ())) > 1 and not ways[1]:
        raise validation(
            "Only one subnet may be specified for clusters configured with instance groups or instance count, master "
            "and slave instance type. Revise the configuration and resubmit."
        )
    kind = "groups" if ways[0] else "fleets"
    if ways[2]:
        if not instances.get("MasterInstanceType"):
            raise validation("The master instance type is required.")
        if instances.get("InstanceCount", 1) < 1:
            raise validation("The instance count must be at least 1.")
        if instances.get("InstanceCount", 1) > 1 and not instances.get("SlaveInstanceType"):
            raise validation("The slave instance type is required when there is more than one instance.")
        check_types(instances[name] for name in ("MasterInstanceType", "SlaveInstanceType") if name in instances)
        return
    roles = [each["InstanceRole"] for each in instances.get("InstanceGroups", ())]
    roles += [each["InstanceFleetType"] for each in instances.get("InstanceFleets", ())]
    if roles.count("MASTER") != 1:
        count = "Zero" if "MASTER" not in roles else "Multiple"
        raise validation(
            f"{count} master instance {kind} supplied, you must specify exactly one master instance {kind[:-1]}"
        )
    if roles.count("CORE") > 1:
        raise validation(f"Multiple core instance {kind} supplied, at most one is allowed")
    if "TASK" in roles and "CORE" not in roles:
        raise validation("Clusters with task nodes must also define core nodes.")
    for group in instances.get("InstanceGroups", ()):
        check_group(group)
    for fleet in instances.get("InstanceFleets", ()):
        wanted = fleet.get("TargetOnDemandCapacity", 0) + fleet.get("TargetSpotCapacity", 0)
        if wanted < 1:
            raise validation("At least one of target On-Demand and target Spot capacity must be greater than 0.")
        if fleet["InstanceFleetType"] == "MASTER" and wanted != 1:
            raise validation("The master instance fleet must have a target capacity of exactly 1.")
        if not fleet.get("InstanceTypeConfigs"):
            raise validation("An instance fleet needs at least one instance type configuration.")
        check_types(each["InstanceType"] for each in fleet["InstanceTypeConfigs"])


def check_group(group: dict[str, Any]) -> None:
    if group["InstanceCount"] < 1:
        raise validation("Instance count of an instance group must be greater than 0.")
    if group["InstanceRole"] == "MASTER" and group["InstanceCount"] not in PRIMARY_NODES:
        raise validation(f"The master instance group has {group['InstanceCount']} instances, it must have 1 or 3.")
    check_types([group["InstanceType"]])


def check_types(names: Iterable[str]) -> None:
    for name in names:
        if name not in machine_types.all_types():
            raise validation(f"Instance type '{name}' is not supported.")


def check_steps(cluster: Cluster | None, steps: Sequence[dict[str, Any]], concurrency: int) -> None:
    """Refuse steps that EMR would refuse; `cluster` is None while it is made."""
    if cluster is not None and not cluster.live:
        raise validation("A job flow that is shutting down, terminated, or finished may not be modified.")
    active: list[Step] = [step for step in cluster.steps if step.active] if cluster else []
    if len(active) + len(steps) > MOST_STEPS:
        raise validation(
            "Maximum number of active steps(State = 'Running', 'Pending' or 'Cancel_Pending') for cluster exceeded."
        )
    for step in steps:
        jar = step["HadoopJarStep"]
        texts = [jar["Jar"], jar.get("MainClass", ""), *jar.get("Args", ())]
        texts += [text for pair in jar.get("Properties", ()) for text in pair.values()]
        if sum(map(len, texts)) > MOST_CHARACTERS:
            raise validation(
                f"The string values of the HadoopJarStep of {step['Name']!r} exceed {MOST_CHARACTERS} characters."
            )
        if not jar["Jar"].strip():
            raise validation(f"The step {step['Name']!r} names no jar.")
        action = step.get("ActionOnFailure", "TERMINATE_CLUSTER")
        if concurrency > 1 and action != "CONTINUE":
            raise validation(
                f"ActionOnFailure {action} of step {step['Name']!r} is not valid: "
                f"it must be CONTINUE when StepConcurrencyLevel is greater than 1, and it is {concurrency}."
            )


def check_concurrency(level: int) -> None:
    if not CONCURRENCY[0] <= level <= CONCURRENCY[1]:
        raise validation(f"StepConcurrencyLevel is {level}, it must be between {CONCURRENCY[0]} and {CONCURRENCY[1]}.")


def check_idle(policy: dict[str, Any]) -> None:
    idle = policy.get("IdleTimeout")
    if idle is None or not IDLE[0] <= idle <= IDLE[1]:
        raise validation(f"IdleTimeout is {idle}, it must be between {IDLE[0]} and {IDLE[1]} seconds.")


def check_scaling(policy: dict[str, Any]) -> None:
    limits = policy.get("ComputeLimits")
    if limits is None:
        raise validation("A managed scaling policy needs ComputeLimits.")
    least, most = limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]
    if least < 1 or most < least:
        raise validation(f"ComputeLimits from {least} to {most}: at least 1, and the maximum no less than the minimum.")
    for name in ("MaximumOnDemandCapacityUnits", "MaximumCoreCapacityUnits"):
        if not 0 <= limits.get(name, 0) <= most:
            raise validation(f"{name} is {limits[name]}, it must be between 0 and MaximumCapacityUnits, {most}.")


def check_tag(tag: dict[str, Any]) -> None:
    key, value = tag.get("Key"), tag.get("Value", "")
    if not key or len(key) > 128:
        raise validation(f"Invalid tag key: '{key}'. Tag keys must be between 1 and 128 characters in length.")
    if len(value) > 256:
        raise validation(f"Invalid tag value: '{value}'. Tag values must be at most 256 characters in length.")
