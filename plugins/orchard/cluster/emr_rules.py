"""Emr_rules: what EMR refuses although its service model allows it, checked before anything is rented.

Each rule is a function that yields what it finds wrong, and names its source. What only an account can tell (whether a
role, a subnet or a security configuration exists, and quotas) is the doctor's.

The sources, by their short names: the API reference (https://docs.aws.amazon.com/emr/latest/APIReference/) and the
Management Guide (https://docs.aws.amazon.com/emr/latest/ManagementGuide/).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orchard.instances import INSTANCES

Request = Mapping[str, Any]
Findings = Iterator[str]
V2_TAG = ("for-use-with-amazon-emr-managed-policies", "true")


class EmrRuleError(ValueError):
    """EMR would refuse a request."""


def check_cluster(request: Request) -> None:
    """Check a RunJobFlow request.

    Raises
    ------
    EmrRuleError
        With all that is wrong, a line each.
    """
    _check("RunJobFlow", (found for rule in CLUSTER_RULES for found in rule(request)))


def check_steps(steps: Sequence[Request]) -> None:
    """Check the steps of an AddJobFlowSteps request.

    Raises
    ------
    EmrRuleError
        With all that is wrong, a line each.
    """
    _check("AddJobFlowSteps", (found for rule in STEP_RULES for found in rule(steps)))


def _check(call: str, findings: Findings) -> None:
    if wrong := list(findings):
        raise EmrRuleError(
            "\n".join([f"EMR would refuse this {call}; mend the settings:", *(f"- {one}" for one in wrong)])
        )


def release_label(request: Request) -> Findings:
    """Releases are named so (API, RunJobFlow: ReleaseLabel); the jobs run on Spark 3.5 and 4: EMR 7 and 8."""
    label = request["ReleaseLabel"]
    if not re.fullmatch(r"emr-(7\.\d+\.\d+|spark-8\.\d+\.\d+)(-latest)?", label):
        yield f"ReleaseLabel: expected emr-7.*.* or emr-spark-8.*.*, such as emr-7.14.0, got {label!r}"


def cluster_name(request: Request) -> Findings:
    """At most 256 characters, none of them a control character (API, RunJobFlow: Name)."""
    name = request["Name"]
    if not 1 <= len(name) <= 256 or not name.isprintable():
        yield f"Name: expected 1 to 256 printable characters, got {name!r}"


def roles(request: Request) -> Findings:
    """Both roles must be named (API, RunJobFlow: JobFlowRole, ServiceRole)."""
    for role in ("ServiceRole", "JobFlowRole"):
        if not request.get(role):
            yield f"{role}: expected the name of a role, got {request.get(role)!r}"


def groups_or_fleets(request: Request) -> Findings:
    """They exclude each other (API, JobFlowInstancesConfig)."""
    given = [way for way in ("InstanceGroups", "InstanceFleets") if request["Instances"].get(way)]
    if len(given) != 1:
        yield f"Instances: expected one of InstanceGroups and InstanceFleets, got {' and '.join(given) or 'neither'}"


def subnets(request: Request) -> Findings:
    """Ec2SubnetId is for groups, Ec2SubnetIds for fleets (API, JobFlowInstancesConfig)."""
    instances = request["Instances"]
    right, wrong = (
        ("Ec2SubnetIds", "Ec2SubnetId") if instances.get("InstanceFleets") else ("Ec2SubnetId", "Ec2SubnetIds")
    )
    if instances.get(wrong):
        yield f"Instances: expected {right}, got {wrong}: groups stand in one subnet, fleets choose among several"
    given = instances.get(right) or []
    several = [given] if isinstance(given, str) else given
    for subnet in several:
        if not re.fullmatch(r"subnet-[0-9a-z]+", subnet):
            yield f"{right}: expected subnet-..., got {subnet!r}"


def one_primary(request: Request) -> Findings:
    """One primary node, of weight 1 in a fleet; one core group at most, task nodes beside it (Guide, node types)."""
    kinds = [part.get("InstanceRole") or part["InstanceFleetType"] for part in _parts(request)]
    if kinds.count("MASTER") != 1 or kinds.count("CORE") > 1 or ("TASK" in kinds and "CORE" not in kinds):
        yield f"Instances: expected one MASTER, one CORE and TASK beside it at most, got {', '.join(kinds)}"
    for part in _parts(request):
        if "MASTER" in (part.get("InstanceRole"), part.get("InstanceFleetType")):
            if (count := _wanted(part)) != 1:
                yield f"Instances: expected 1 primary node, got {count}"
            if any(one.get("WeightedCapacity", 1) != 1 for one in part.get("InstanceTypeConfigs", ())):
                yield "Instances: the primary fleet's types have weight 1"


def capacities(request: Request) -> Findings:
    """Each part wants something, and a type of a core or task fleet weighs 1 or more (API, InstanceTypeConfig)."""
    for part in _parts(request):
        if (count := _wanted(part)) < 1:
            yield f"Instances: {part['Name']}: expected a capacity of 1 or more, got {count}"
        if any(one.get("WeightedCapacity", 1) < 1 for one in part.get("InstanceTypeConfigs", ())):
            yield f"Instances: {part['Name']}: expected weights of 1 or more"


def types_of_a_fleet(request: Request) -> Findings:
    """30 instance types with an allocation strategy, 5 without, each once (Guide, instance fleets)."""
    for fleet in request["Instances"].get("InstanceFleets", ()):
        launch, types = (
            fleet.get("LaunchSpecifications", {}),
            [one["InstanceType"] for one in fleet["InstanceTypeConfigs"]],
        )
        most = 30 if any(one.get("AllocationStrategy") for one in launch.values()) else 5
        if not 1 <= len(types) <= most or len(set(types)) < len(types):
            yield f"Instances: {fleet['Name']}: expected 1 to {most} instance types, each once, got {', '.join(types)}"


def instance_types(request: Request) -> Findings:
    """Types that the release runs, all of one architecture, as AMI and wheels are (API, ListSupportedInstanceTypes)."""
    types = {one["InstanceType"] for part in _parts(request) for one in part.get("InstanceTypeConfigs", [part])}
    if unknown := sorted(types - INSTANCES.keys()):
        yield f"Instances: {', '.join(unknown)}: not among the instance types that are offered"
    architectures = {INSTANCES[one].architecture for one in types & INSTANCES.keys()}
    if len(architectures) > 1:
        yield f"Instances: expected one architecture, got {' and '.join(sorted(architectures))}"


def spot(request: Request) -> Findings:
    """Patience of 5 to 1440 minutes, and never a primary node on spot here (API, SpotProvisioningSpecification)."""
    for fleet in request["Instances"].get("InstanceFleets", ()):
        given = fleet.get("LaunchSpecifications", {}).get("SpotSpecification")
        if given and not 5 <= given["TimeoutDurationMinutes"] <= 1440:
            yield f"SpotSpecification: expected a time-out of 5 to 1440 minutes, got {given['TimeoutDurationMinutes']}"
        if fleet.get("TargetSpotCapacity") and not given:
            yield f"Instances: {fleet['Name']}: spot capacity wants a SpotSpecification"
        if fleet.get("TargetSpotCapacity") and fleet["InstanceFleetType"] == "MASTER":
            yield "Instances: a primary node on spot ends the cluster when it is taken away"


def volumes(request: Request) -> Findings:
    """10 to 1024 GiB a data volume (API, VolumeSpecification), 15 to 100 the root volume (Guide, root device)."""
    for part in _parts(request):
        for one in part.get("InstanceTypeConfigs", [part]):
            for device in one.get("EbsConfiguration", {}).get("EbsBlockDeviceConfigs", ()):
                if not 10 <= (size := device["VolumeSpecification"]["SizeInGB"]) <= 1024:
                    yield f"EbsConfiguration: expected 10 to 1024 GiB, got {size}"
    if not 15 <= (root := request.get("EbsRootVolumeSize", 15)) <= 100:
        yield f"EbsRootVolumeSize: expected 15 to 100 GiB, got {root}"


def security_groups(request: Request) -> Findings:
    """Primary's and core's come together, and in a private subnet with the service's (API, JobFlowInstancesConfig)."""
    names = ("EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup", "ServiceAccessSecurityGroup")
    given = {name: request["Instances"].get(name) for name in names}
    if any(given.values()) and not all(given.values()):
        yield f"Instances: expected all of {', '.join(names)} or none, got {given}"
    for name, group in given.items():
        if group and not re.fullmatch(r"sg-[0-9a-z]+", group):
            yield f"{name}: expected sg-..., got {group!r}"


def log_uri(request: Request) -> Findings:
    """LogUri is a folder in S3 (API, RunJobFlow: LogUri)."""
    if not re.fullmatch(r"s3://[a-z0-9.-]{3,63}/(.*/)?", uri := request["LogUri"]):
        yield f"LogUri: expected s3://bucket/folder/, got {uri!r}"


def idle_time_out(request: Request) -> Findings:
    """60 to 604800 seconds (API, AutoTerminationPolicy); none outlives its run, so there must be one."""
    idle = request.get("AutoTerminationPolicy", {}).get("IdleTimeout")
    if idle is None or not 60 <= idle <= 604800:
        yield f"AutoTerminationPolicy: expected an IdleTimeout of 60 to 604800 seconds, got {idle}"


def bootstrap_actions(request: Request) -> Findings:
    """16 at most, each a script in S3 (Guide, bootstrap actions)."""
    actions = request.get("BootstrapActions", ())
    if len(actions) > 16:
        yield f"BootstrapActions: expected 16 at most, got {len(actions)}"
    for action in actions:
        if not re.fullmatch(r"s3://[a-z0-9.-]{3,63}/.*[^/]", path := action["ScriptBootstrapAction"]["Path"]):
            yield f"BootstrapActions: expected a script s3://bucket/..., got {path!r}"


def tags(request: Request) -> Findings:
    """50 at most, each key once, in EC2's characters, none of them ``aws:``'s (Guide, tag restrictions; EC2, tags)."""
    given = request.get("Tags", ())
    if len(given) > 50 or len({tag["Key"] for tag in given}) < len(given):
        yield f"Tags: expected 50 at most, each key once, got {len(given)}"
    for tag in given:
        for part, least, most in (("Key", 1, 128), ("Value", 0, 256)):
            text = tag[part]
            if not least <= len(text) <= most:
                yield f"Tags: {part} {text!r}: expected {least} to {most} characters, got {len(text)}"
            if odd := "".join(sorted(set(re.sub(r"[\w\s.:/=+@-]", "", text)))):
                yield f"Tags: {part} {text!r}: expected letters, digits, spaces and _ . : / = + - @, got {odd}"
            if text.lower().startswith("aws:"):
                yield f"Tags: {part} {text!r}: aws: is AWS' own"


def managed_policy_tag(request: Request) -> Findings:
    """Without this tag, the managed policy of EMR's service role allows nothing (Guide, managed policies v2)."""
    if V2_TAG not in {(tag["Key"], tag["Value"]) for tag in request.get("Tags", ())}:
        yield f"Tags: {V2_TAG[0]}={V2_TAG[1]} is missing, without which AmazonEMRServicePolicy_v2 allows nothing"


def step_concurrency(request: Request) -> Findings:
    """1 to 256 (API, RunJobFlow: StepConcurrencyLevel)."""
    if not 1 <= (level := request.get("StepConcurrencyLevel", 1)) <= 256:
        yield f"StepConcurrencyLevel: expected 1 to 256, got {level}"


def step_sizes(steps: Sequence[Request]) -> Findings:
    """10,240 characters in all of a step's jar and arguments (API, AddJobFlowSteps)."""
    for step in steps:
        jar = step["HadoopJarStep"]
        if (size := len(jar["Jar"]) + sum(map(len, jar.get("Args", ())))) > 10240:
            yield f"Step {step['Name']}: expected 10240 characters at most, got {size}"


def step_names(steps: Sequence[Request]) -> Findings:
    """At most 256 characters, none of them a control character (API, StepConfig: Name)."""
    for step in steps:
        if not 1 <= len(step["Name"]) <= 256 or not step["Name"].isprintable():
            yield f"Step: expected a name of 1 to 256 printable characters, got {step['Name']!r}"


def step_count(steps: Sequence[Request]) -> Findings:
    """256 in one call (API, AddJobFlowSteps)."""
    if not 1 <= len(steps) <= 256:
        yield f"Steps: expected 1 to 256, got {len(steps)}"


CLUSTER_RULES: tuple[Callable[[Request], Findings], ...] = (
    *(release_label, cluster_name, roles, groups_or_fleets, subnets, one_primary, capacities, types_of_a_fleet),
    *(instance_types, spot, volumes, security_groups, log_uri, idle_time_out, bootstrap_actions, tags),
    *(managed_policy_tag, step_concurrency),
)
STEP_RULES: tuple[Callable[[Sequence[Request]], Findings], ...] = (step_sizes, step_names, step_count)


def _parts(request: Request) -> list[Request]:
    """Return the groups, or the fleets."""
    return [*request["Instances"].get("InstanceGroups", ()), *request["Instances"].get("InstanceFleets", ())]


def _wanted(part: Request) -> int:
    if "InstanceCount" in part:
        return int(part["InstanceCount"])
    return int(part.get("TargetOnDemandCapacity", 0) + part.get("TargetSpotCapacity", 0))
