import copy
from collections.abc import Callable
from typing import Any

import pytest

from orchard.cluster.emr_rules import CLUSTER_RULES, STEP_RULES, EmrRuleError, check_cluster, check_steps
from orchard.cluster.request import extract_step, job_flow
from tests.plans import CODE, PLAN, SETTINGS, plan, settings

GROUPS = job_flow(SETTINGS, PLAN)
FLEETS = job_flow(
    settings(
        subnets=("subnet-1", "subnet-2"),
        primary_security_group="sg-1",
        core_security_group="sg-2",
        service_security_group="sg-3",
        bootstrap="s3://bucket/lake/bootstrap/0123456789ab",
    ),
    plan(instance_types=("m5.xlarge", "m6i.xlarge"), spot=True),
)
STEP = extract_step(PLAN, CODE)
Change = Callable[[dict[str, Any]], object]


def put(*path: str | int, to: Any) -> Change:
    """Make a change of one place of a request."""

    def change(request: dict[str, Any]) -> None:
        place: Any = request
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = to

    return change


def drop(*path: str | int) -> Change:
    def change(request: dict[str, Any]) -> None:
        place: Any = request
        for part in path[:-1]:
            place = place[part]
        del place[path[-1]]

    return change


def found(rules: Any, request: Any) -> dict[str, list[str]]:
    """Return what each rule finds wrong, by its name."""
    findings = {rule.__name__: list(rule(request)) for rule in rules}
    return {name: wrong for name, wrong in findings.items() if wrong}


FLEET, CONFIGS = ("Instances", "InstanceFleets"), "InstanceTypeConfigs"
BROKEN: list[tuple[str, dict[str, Any], Change, list[str]]] = [
    (
        *("release_label", GROUPS, put("ReleaseLabel", to="7.14.0")),
        ["ReleaseLabel: expected emr-7.*.* or emr-spark-8.*.*, such as emr-7.14.0, got '7.14.0'"],
    ),
    (
        *("cluster_name", GROUPS, put("Name", to="x" * 257)),
        [f"Name: expected 1 to 256 printable characters, got {'x' * 257!r}"],
    ),
    (
        *("cluster_name", GROUPS, put("Name", to="a\nb")),
        ["Name: expected 1 to 256 printable characters, got 'a\\nb'"],
    ),
    ("roles", GROUPS, put("JobFlowRole", to=""), ["JobFlowRole: expected the name of a role, got ''"]),
    (
        *("subnets", GROUPS, put("Instances", "Ec2SubnetIds", to=["subnet-1"])),
        ["Instances: expected Ec2SubnetId, got Ec2SubnetIds: groups stand in one subnet, fleets choose among several"],
    ),
    (
        *("subnets", FLEETS, put("Instances", "Ec2SubnetIds", to=["subnet-1", "vpc-2"])),
        ["Ec2SubnetIds: expected subnet-..., got 'vpc-2'"],
    ),
    (
        *("one_primary", FLEETS, put(*FLEET, 2, "InstanceFleetType", to="CORE")),
        ["Instances: expected one MASTER, one CORE and TASK beside it at most, got MASTER, CORE, CORE"],
    ),
    (
        *("one_primary", GROUPS, put("Instances", "InstanceGroups", 0, "InstanceCount", to=3)),
        ["Instances: expected 1 primary node, got 3"],
    ),
    (
        *("one_primary", FLEETS, put(*FLEET, 0, CONFIGS, 0, "WeightedCapacity", to=4)),
        ["Instances: the primary fleet's types have weight 1"],
    ),
    (
        *("capacities", GROUPS, put("Instances", "InstanceGroups", 1, "InstanceCount", to=0)),
        ["Instances: core: expected a capacity of 1 or more, got 0"],
    ),
    (
        *("capacities", FLEETS, put(*FLEET, 2, CONFIGS, 1, "WeightedCapacity", to=0)),
        ["Instances: task: expected weights of 1 or more"],
    ),
    (
        *("types_of_a_fleet", FLEETS, put(*FLEET, 1, CONFIGS, 1, "InstanceType", to="m5.xlarge")),
        ["Instances: core: expected 1 to 30 instance types, each once, got m5.xlarge, m5.xlarge"],
    ),
    (
        *("instance_types", GROUPS, put("Instances", "InstanceGroups", 1, "InstanceType", to="m5.huge")),
        ["Instances: m5.huge: not among the instance types that are offered"],
    ),
    (
        *("instance_types", GROUPS, put("Instances", "InstanceGroups", 1, "InstanceType", to="m7g.xlarge")),
        ["Instances: expected one architecture, got aarch64 and x86_64"],
    ),
    (
        "spot",
        FLEETS,
        put(*FLEET, 2, "LaunchSpecifications", "SpotSpecification", "TimeoutDurationMinutes", to=4),
        ["SpotSpecification: expected a time-out of 5 to 1440 minutes, got 4"],
    ),
    (
        *("spot", FLEETS, drop(*FLEET, 2, "LaunchSpecifications", "SpotSpecification")),
        ["Instances: task: spot capacity wants a SpotSpecification"],
    ),
    (
        *("volumes", FLEETS, put("EbsRootVolumeSize", to=10)),
        ["EbsRootVolumeSize: expected 15 to 100 GiB, got 10"],
    ),
    (
        "volumes",
        GROUPS,
        put("Instances", "InstanceGroups", 1, "EbsConfiguration", "EbsBlockDeviceConfigs", 0, "VolumeSpecification",
            to={"VolumeType": "gp3", "SizeInGB": 2000}),
        ["EbsConfiguration: expected 10 to 1024 GiB, got 2000"],
    ),
    (
        *("security_groups", FLEETS, put("Instances", "ServiceAccessSecurityGroup", to="default")),
        ["ServiceAccessSecurityGroup: expected sg-..., got 'default'"],
    ),
    (
        *("security_groups", FLEETS, drop("Instances", "ServiceAccessSecurityGroup")),
        [
            "Instances: expected all of EmrManagedMasterSecurityGroup, EmrManagedSlaveSecurityGroup, "
            "ServiceAccessSecurityGroup or none, got {'EmrManagedMasterSecurityGroup': 'sg-1', "
            "'EmrManagedSlaveSecurityGroup': 'sg-2', 'ServiceAccessSecurityGroup': None}"
        ],
    ),
    (
        *("log_uri", GROUPS, put("LogUri", to="s3://bucket")),
        ["LogUri: expected s3://bucket/folder/, got 's3://bucket'"],
    ),
    (
        *("idle_time_out", GROUPS, put("AutoTerminationPolicy", "IdleTimeout", to=604801)),
        ["AutoTerminationPolicy: expected an IdleTimeout of 60 to 604800 seconds, got 604801"],
    ),
    (
        *("idle_time_out", GROUPS, drop("AutoTerminationPolicy")),
        ["AutoTerminationPolicy: expected an IdleTimeout of 60 to 604800 seconds, got None"],
    ),
    (
        *("bootstrap_actions", FLEETS, put("BootstrapActions", 0, "ScriptBootstrapAction", "Path", to="install.sh")),
        ["BootstrapActions: expected a script s3://bucket/..., got 'install.sh'"],
    ),
    (
        *("bootstrap_actions", FLEETS, put("BootstrapActions", to=FLEETS["BootstrapActions"] * 17)),
        ["BootstrapActions: expected 16 at most, got 17"],
    ),
    (
        *("tags", GROUPS, put("Tags", 3, "Value", to="a~b")),
        ["Tags: Value 'a~b': expected letters, digits, spaces and _ . : / = + - @, got ~"],
    ),
    (
        *("tags", GROUPS, put("Tags", 3, "Value", to="x" * 257)),
        [f"Tags: Value {'x' * 257!r}: expected 0 to 256 characters, got 257"],
    ),
    ("tags", GROUPS, put("Tags", 3, "Key", to="AWS:x"), ["Tags: Key 'AWS:x': aws: is AWS' own"]),
    (
        *("tags", GROUPS, put("Tags", 3, "Key", to="orchard:dag")),
        ["Tags: expected 50 at most, each key once, got 4"],
    ),
    (
        *("managed_policy_tag", GROUPS, drop("Tags", 0)),
        [
            "Tags: for-use-with-amazon-emr-managed-policies=true is missing, without which AmazonEMRServicePolicy_v2 "
            "allows nothing"
        ],
    ),
    (
        *("step_concurrency", GROUPS, put("StepConcurrencyLevel", to=257)),
        ["StepConcurrencyLevel: expected 1 to 256, got 257"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "base", "change", "wrong"), BROKEN, ids=[one[0] for one in BROKEN])
def test_each_rule_finds_what_breaks_it(rule: str, base: dict[str, Any], change: Change, wrong: list[str]) -> None:
    assert found(CLUSTER_RULES, base) == {}
    request = copy.deepcopy(base)
    change(request)
    assert found(CLUSTER_RULES, request) == {rule: wrong}
    with pytest.raises(EmrRuleError) as refused:
        check_cluster(request)
    assert str(refused.value).splitlines() == [
        "EMR would refuse this RunJobFlow; mend the settings:",
        *(f"- {one}" for one in wrong),
    ]


def test_groups_and_fleets_exclude_each_other() -> None:
    both = copy.deepcopy(FLEETS)
    both["Instances"]["InstanceGroups"] = GROUPS["Instances"]["InstanceGroups"]
    assert found(CLUSTER_RULES, both)["groups_or_fleets"] == [
        "Instances: expected one of InstanceGroups and InstanceFleets, got InstanceGroups and InstanceFleets"
    ]


def test_five_types_without_an_allocation_strategy() -> None:
    request = copy.deepcopy(FLEETS)
    core = request["Instances"]["InstanceFleets"][1]
    names = [f"{family}.xlarge" for family in ("m5", "m5a", "m5d", "m6i", "m6a", "m7i")]
    core["InstanceTypeConfigs"] = [core["InstanceTypeConfigs"][0] | {"InstanceType": name} for name in names]
    assert found(CLUSTER_RULES, request) == {}
    core["LaunchSpecifications"] = {}
    assert found(CLUSTER_RULES, request) == {
        "types_of_a_fleet": [f"Instances: core: expected 1 to 5 instance types, each once, got {', '.join(names)}"]
    }


def test_a_primary_node_on_spot() -> None:
    request = copy.deepcopy(FLEETS)
    primary, _, task = request["Instances"]["InstanceFleets"]
    primary |= {
        "TargetOnDemandCapacity": 0,
        "TargetSpotCapacity": 1,
        "LaunchSpecifications": task["LaunchSpecifications"],
    }
    assert found(CLUSTER_RULES, request) == {
        "spot": ["Instances: a primary node on spot ends the cluster when it is taken away"]
    }


@pytest.mark.parametrize(
    ("rule", "steps", "wrong"),
    [
        ("step_count", [], "Steps: expected 1 to 256, got 0"),
        ("step_count", [STEP] * 257, "Steps: expected 1 to 256, got 257"),
        (
            "step_sizes",
            [STEP | {"HadoopJarStep": {"Jar": "x.jar", "Args": ["a" * 10236]}}],
            f"Step {STEP['Name']}: expected 10240 characters at most, got 10241",
        ),
        ("step_names", [STEP | {"Name": ""}], "Step: expected a name of 1 to 256 printable characters, got ''"),
    ],
)
def test_the_rules_of_steps(rule: str, steps: list[Any], wrong: str) -> None:
    assert found(STEP_RULES, [STEP]) == {}
    assert found(STEP_RULES, steps) == {rule: [wrong]}
    with pytest.raises(EmrRuleError) as refused:
        check_steps(steps)
    assert str(refused.value) == f"EMR would refuse this AddJobFlowSteps; mend the settings:\n- {wrong}"


def test_every_rule_names_its_source() -> None:
    for rule in (*CLUSTER_RULES, *STEP_RULES):
        assert "(API, " in (rule.__doc__ or "") or "(Guide, " in (rule.__doc__ or ""), rule.__name__
    broken = {one[0] for one in BROKEN} | {"groups_or_fleets"}
    assert broken == {rule.__name__ for rule in CLUSTER_RULES}
