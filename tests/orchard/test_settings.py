"""What may be said in the variable, what may not, and what is then said back: one line for each thing that is wrong."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchard.commands.settings import schema
from orchard.instances import INSTANCES
from orchard.settings import EU_REGIONS, Settings, SettingsError, read_settings
from tests.plans import EXTRACTOR, SETTINGS, settings

LEAST = {"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": EXTRACTOR}
GROUPS = ("primary_security_group", "core_security_group", "service_security_group")
EXAMPLE = '{"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": "<extractor_id>"}'


def refusal(**changes: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        Settings.parse(LEAST | changes)
    return str(refused.value)


def test_the_least_that_must_be_said() -> None:
    assert Settings.parse(LEAST) == SETTINGS
    assert SETTINGS.root == "s3://bucket/lake"
    assert settings(lake="s3://bucket/lake/").root == "s3://bucket/lake"
    assert settings(lake="s3://lake-bucket").root == "s3://lake-bucket"


def test_all_that_can_be_said() -> None:
    """Every setting, each with another value than its default: nothing is dropped on the way."""
    said = LEAST | {
        "label": "parent/2",
        "hierarchy": "s3://bucket/lake/fruits.csv",
        "source": "s3://reports/all/bucket/daily/",
        "full_listing_days": 30,
        "leave_out": ["*.bak"],
        "database": "fruit",
        "region": "us-east-1",
        "outside_eu": True,
        "components": None,
        "variance": 0.9,
        "standardize": True,
        "shrinkage": 0.5,
        "engine": "tensorflow",
        "release": "emr-7.13.0",
        "instance_type": "c7g.2xlarge",
        "instance_types": ["m6g.xlarge", "m7g.xlarge"],
        "spot": True,
        "ebs_gib": 100,
        "min_core_nodes": 2,
        "max_core_nodes": 20,
        "target_minutes": 20,
        "rate": 80,
        "idle_minutes": 60,
        "service_role": "service",
        "instance_profile": "node",
        "subnets": ["subnet-1", "subnet-2"],
        "primary_security_group": "sg-1",
        "core_security_group": "sg-2",
        "service_security_group": "sg-3",
        "security_configuration": "sealed",
        "bootstrap": "s3://bucket/lake/bootstrap/0123456789ab",
        "python": "/usr/bin/python3.11",
        "tags": {"team": "fruit"},
        "max_reject_share": 0,
        "events_queue": "https://sqs.eu-west-1.amazonaws.com/123456789012/photos",
        "quiet_minutes": 1,
        "gather_minutes": 30,
        "poll_seconds": 1,
        "log_seconds": 0,
        "maintain_days": 1,
        "keep_days": 90,
        "console": "http://localhost:5555",
    }
    assert said.keys() == Settings.model_fields.keys()
    parsed = Settings.parse(json.loads(json.dumps(said)))
    assert dict(parsed) == said | {
        "leave_out": ("*.bak",),
        "prefixes": ("s3://bucket/photos",),
        "subnets": ("subnet-1", "subnet-2"),
        "instance_types": ("m6g.xlarge", "m7g.xlarge"),
    }
    # JSON writes 20 for 20.0; what is compared and written later does not depend on it.
    assert [type(one) for one in (parsed.target_minutes, parsed.rate, parsed.max_reject_share)] == [float] * 3


@pytest.mark.parametrize("region", EU_REGIONS)
def test_regions_of_the_eu(region: str) -> None:
    assert settings(region=region).region == region


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2", "mars", ""])
def test_a_region_outside_the_eu_is_refused(region: str) -> None:
    """London and Zurich are outside, whatever AWS calls them."""
    assert refusal(region=region) == (
        f'Setting region: got "{region}", expected one in the EU, where the data are to stay: eu-central-1, '
        "eu-north-1, eu-south-1, eu-south-2, eu-west-1, eu-west-3, eusc-de-east-1; "
        'if another is meant, say so outright: "outside_eu": true.'
    )
    if region.count("-") == 2:
        assert settings(region=region, outside_eu=True).region == region
    else:
        assert refusal(region=region, outside_eu=True) == (
            f'Setting region: got "{region}", expected a region that boto knows of; correct it; those in the EU are '
            "eu-central-1, eu-north-1, eu-south-1, eu-south-2, eu-west-1, eu-west-3, eusc-de-east-1."
        )


def test_nothing_can_be_changed_later() -> None:
    chosen = settings(tags={"team": "fruit"})
    with pytest.raises(ValidationError, match="frozen"):
        chosen.rate = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        chosen.tags["team"] = "cheese"  # type: ignore[index]
    assert chosen.but(rate=3) == settings(tags={"team": "fruit"}, rate=3.0) != chosen


# A setting, a value that cannot be meant, and what is said of it; alone, or beside any of the others.
WRONG: list[tuple[str, Any, str]] = [
    ("lake", "bucket/lake", 'lake: got "bucket/lake", expected s3://bucket[/prefix]; write it as in "s3://bucket/lake".'),
    ("lake", "s3://b", 'lake: got "s3://b", expected s3://bucket[/prefix]; write it as in "s3://bucket/lake".'),
    ("lake", None, 'lake: got null, expected s3://bucket[/prefix]; write it as in "s3://bucket/lake".'),
    (
        "prefixes", ["s3://bucket/photos", "/home/photos"],
        'prefixes[1]: got "/home/photos", expected s3://bucket[/prefix]; write it as in "s3://bucket/photos".',
    ),
    ("prefixes", ["s3://"], 'prefixes[0]: got "s3://", expected s3://bucket[/prefix]; write it as in "s3://bucket/photos".'),
    *(
        (
            "prefixes", value,
            f"prefixes: got {json.dumps(value)}, expected a list of s3://bucket[/prefix], one or more; "
            'write it as in ["s3://bucket/photos"].',
        )
        for value in ("s3://bucket/photos", [], None, {"0": "s3://bucket/photos"})
    ),
    *(
        (
            "extractor", value,
            f'extractor: got {json.dumps(value)}, expected an extractor_id; '
            'write it as in "mobilenet_v2-f32-575378b4658d".',
        )
        for value in ("mobilenet_v2", "", 7)
    ),
    ("service_role", 7, 'service_role: got 7, expected text in quotes; write "7".'),
    (
        "database",
        "fruits-360",
        'database: got "fruits-360", expected 1 to 252 of a-z, 0-9 and _; correct it, or leave it out for "orchard".',
    ),
    ("region", None, 'region: got null, expected text in quotes; correct it, or leave it out for "eu-west-1".'),
    ("outside_eu", "no", 'outside_eu: got "no", expected true or false; correct it, or leave it out for false.'),
    *(
        (
            "components", value,
            f"components: got {said}, expected a whole number, 1 to 10000; correct it, or leave it out.",
        )
        for value, said in ((0, "0"), (10_001, "10001"), (20.5, "20.5"), (True, "true"), ("3", '"3"'))
    ),
    *(
        (
            "variance", value,
            f"variance: got {value}, expected a number, more than 0, at most 1; correct it, or leave it out.",
        )
        for value in (0, 1.5, -1)
    ),
    ("standardize", "yes", 'standardize: got "yes", expected true or false; correct it, or leave it out for false.'),
    ("standardize", 1, "standardize: got 1, expected true or false; correct it, or leave it out for false."),
    (
        "engine", "onnx",
        'engine: got "onnx", expected openvino or tensorflow; correct it, or leave it out for "openvino".',
    ),
    ("engine", "Openvino", 'engine: got "Openvino", expected openvino or tensorflow; openvino may be meant.'),
    ("instance_type", "m5.huge", 'instance_type: got "m5.huge", expected any of 96 names; m5.xlarge may be meant.'),
    (
        "instance_types", ["m5.xlarge", "m5.2xlage"],
        'instance_types[1]: got "m5.2xlage", expected any of 96 names; m5.2xlarge may be meant.',
    ),
    (
        "instance_types", ["huge"],
        f'instance_types[0]: got "huge", expected any of 96 names; take one of {", ".join(sorted(INSTANCES))}.',
    ),
    (
        "instance_types", ["m5.xlarge", "m5.xlarge"],
        'instance_types: got ["m5.xlarge", "m5.xlarge"], expected each type once; take out what is there twice.',
    ),
    *(
        (
            "ebs_gib", value,
            f"ebs_gib: got {value}, expected a whole number, 10 to 1024; correct it, or leave it out for 64.",
        )
        for value in (9, 1025)
    ),
    *(
        (
            name, value,
            f"{name}: got {value}, expected a whole number, 1 to 1000; correct it, or leave it out for {default}.",
        )
        for name, default in (("min_core_nodes", 1), ("max_core_nodes", 10)) for value in (0, 1001, 10**20)
    ),
    *(
        (
            "idle_minutes", value,
            f"idle_minutes: got {value}, expected a whole number, 1 to 10080; correct it, or leave it out for 30.",
        )
        for value in (0, 10081)
    ),
    *(
        (
            name, value,
            f"{name}: got {value}, expected a number, more than 0, at most {most}; "
            f"correct it, or leave it out for {default}.",
        )
        for name, most, default in (("target_minutes", 10080, 30), ("rate", 1000000, 50), ("poll_seconds", 300, 15))
        for value in (0, most + 1, 10**20)
    ),
    *(
        (
            name, value,
            f"{name}: got {value}, expected a number, 0 to {most}; correct it, or leave it out for {default}.",
        )
        for name, most, default in (("maintain_days", 36525, 7), ("keep_days", 36525, 30), ("log_seconds", 3600, 360))
        for value in (-0.5, most + 1, 10**20)
    ),
    *(
        (
            "max_reject_share", value,
            f"max_reject_share: got {json.dumps(value)}, expected a number, 0 to 1; "
            "correct it, or leave it out for 0.05.",
        )
        for value in (1.1, -1, "5%", False)
    ),
    ("tags", {"team": "fruit", "cost centre": 7}, 'tags["cost centre"]: got 7, expected text in quotes; write "7".'),
    ("tags", ["team"], 'tags: got ["team"], expected names with text in quotes; correct it, or leave it out.'),
    ("subnets", ["subnet-1", 7], 'subnets[1]: got 7, expected text in quotes; write "7".'),
    ("subnets", "subnet-1", 'subnets: got "subnet-1", expected a list of text in quotes; correct it, or leave it out.'),
    ("python", True, 'python: got true, expected text in quotes; write "true".'),
    *(
        (
            "bootstrap", address,
            f'bootstrap: got "{address}", expected s3://bucket/folder, without a slash at its end; '
            "correct it, or leave it out.",
        )
        for address in ("/opt/install.sh", "s3://bucket/lake/bootstrap/", "s3://bucket")
    ),
    ("max_core_node", 3, "max_core_node: got 3, expected max_core_nodes; correct the name."),
    ("colour", "red", f'colour: got "red", expected some of {", ".join(Settings.model_fields)}; take it out.'),
    ("a\nb", None, f'["a\\nb"]: got null, expected some of {", ".join(Settings.model_fields)}; take it out.'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "line"), WRONG)
def test_what_cannot_be_meant(name: str, value: Any, line: str) -> None:
    assert refusal(**{name: value}) == f"Setting {line}"


@given(st.lists(st.sampled_from(WRONG), min_size=1, unique_by=lambda one: one[0]))
def test_all_that_is_wrong_is_said_at_once_and_once(wrong: list[tuple[str, Any, str]]) -> None:
    """Whatever is wrong beside it, the same is said of each; and the schema, by itself, refuses the same places."""
    said = LEAST | {name: value for name, value, _ in wrong}
    lines = refusal(**said).split("\n")
    assert sorted(lines) == sorted(f"Setting {line}" for *_, line in wrong)
    names = [*Settings.model_fields, *said]  # in the fields' order, and then what is unknown, in the file's
    order = [names.index(next(name for name, _, one in wrong if line == f"Setting {one}")) for line in lines]
    assert order == sorted(order)
    refused = jsonschema.Draft202012Validator(schema()).iter_errors(json.loads(json.dumps(said)))
    assert {one.path[0] if one.path else "unknown" for one in refused} == {
        name if name in Settings.model_fields else "unknown" for name, *_ in wrong
    }


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"components": 20, "variance": 0.9},
            "variance: got 0.9, expected none beside components, 20; leave out one of the two.",
        ),
        (
            {"min_core_nodes": 3, "max_core_nodes": 2},
            "max_core_nodes: got 2, expected no less than min_core_nodes, 3; change one of the two.",
        ),
        (
            {"min_core_nodes": 11},
            "max_core_nodes: got 10, expected no less than min_core_nodes, 11; change one of the two.",
        ),
        (
            {"instance_types": ["m5.xlarge", "m6g.xlarge"]},
            'instance_types: got ["m5.xlarge", "m6g.xlarge"], expected one architecture: '
            "the nodes' Python is built for one; take types of x86 alone, or of arm64 (Graviton) alone.",
        ),
        (
            {"primary_security_group": "sg-1", "core_security_group": "sg-2"},
            'primary_security_group: got "sg-1", expected service_security_group beside it; '
            "give all three, or none of them.",
        ),
        *(
            (
                {one: "sg-3"},
                f'{one}: got "sg-3", expected {" and ".join(other for other in GROUPS if other != one)} beside it; '
                "give all three, or none of them.",
            )
            for one in GROUPS
        ),
        # Known to no JSON, but to Python's reader of it.
        (
            {"variance": float("nan")},
            "variance: got NaN, expected a number, more than 0, at most 1; correct it, or leave it out.",
        ),
        (
            {"rate": float("inf")},
            "rate: got Infinity, expected a number, more than 0, at most 1000000; "
            "correct it, or leave it out for 50.",
        ),
    ],
)  # fmt: skip
def test_what_settings_ask_of_each_other(changes: dict[str, Any], line: str) -> None:
    """Also where something else is wrong."""
    assert refusal(**changes) == f"Setting {line}"
    assert refusal(**changes, database=7).split("\n") == [
        'Setting database: got 7, expected 1 to 252 of a-z, 0-9 and _; correct it, or leave it out for "orchard".',
        f"Setting {line}",
    ]


def test_every_number_has_both_ends() -> None:
    """One that is a slip is told; and none is larger than what all that reads it can hold."""
    kinds = {name: one.get("anyOf", [one]) for name, one in schema()["properties"].items()}
    numbers = {name: one for name, each in kinds.items() for one in each if one.get("type") in ("integer", "number")}
    assert {"components", "rate", "log_seconds"} <= numbers.keys()
    for name, one in numbers.items():
        assert "maximum" in one and {"minimum", "exclusiveMinimum"} & one.keys(), name


@pytest.mark.parametrize(
    "hierarchy", ["None", "", "fruits.csv", "s3://b/fruits.csv", "s3://bucket/fruits.txt", "parent/0"]
)
def test_hierarchies_that_cannot_be_meant(hierarchy: str) -> None:
    assert refusal(hierarchy=hierarchy).startswith(f'Setting hierarchy: got "{hierarchy}", expected ')
    (refused,) = jsonschema.Draft202012Validator(schema()).iter_errors(LEAST | {"hierarchy": hierarchy})
    assert list(refused.path) == ["hierarchy"]


@pytest.mark.parametrize("rule", ["Parent", "parent/x", "parent/0", "parent/1000", "parents", "(?:a)b"])
def test_the_schema_refuses_a_rule_of_labels_that_cannot_be_meant(rule: str) -> None:
    (refused,) = jsonschema.Draft202012Validator(schema()).iter_errors(LEAST | {"label": rule})
    assert list(refused.path) == ["label"]
    assert refusal(label=rule).startswith(f'Setting label: got "{rule}", expected parent, ')


def test_a_whole_number_may_be_written_with_a_point() -> None:
    made = Settings.parse(LEAST | {"ebs_gib": 64.0, "components": 8.0})
    assert (repr(made.ebs_gib), repr(made.components)) == ("64", "8")


def test_a_rule_of_labels_that_cannot_be_meant() -> None:
    assert refusal(hierarchy="fruits.csv") == (
        'Setting hierarchy: got "fruits.csv", expected a file in a bucket, s3://bucket/name.csv; put it there.'
    )
    assert refusal(hierarchy="parent/0") == (
        'Setting hierarchy: got "parent/0", expected none, the name of a CSV file with the columns label and parent, '
        "or a rule as labels have one: parent/2, or a regular expression with a group; levels are counted from 1."
    )
    assert refusal(label="parent/0") == (
        'Setting label: got "parent/0", expected parent, parent/2 (or another number of levels up, from 1), or a '
        "regular expression with a group, such as ([^/_]+)_[^/]*$; levels are counted from 1."
    )


def test_nothing_is_asked_beside_what_is_wrong_itself() -> None:
    """Lake, components and so on are to be mended first."""
    wrong = {"lake": "lake", "outside_eu": 1, "components": "3", "min_core_nodes": "3", "core_security_group": 3}
    beside = {"prefixes": ["s3://bucket/lake"], "region": "us-east-1", "variance": 0.9, "max_core_nodes": 1}
    lines = refusal(**wrong, **beside, primary_security_group="sg-1").split("\n")
    assert [line.split(":")[0].removeprefix("Setting ") for line in lines] == [*wrong]


GOOD = {
    "outside_eu": st.booleans(),
    "region": st.sampled_from([*EU_REGIONS, "us-east-1"]),
    "hierarchy": st.sampled_from(["none", "parent/2", "s3://bucket/lake/a b.CSV", "([a-z]+)"]),
    "label": st.sampled_from(["parent", "parent/2", "parent/007", r"([^/_]+)_[^/]*$", "(?P<label>x)", r"\((?:a)(b)"]),
    "components": st.none() | st.integers(1, 2000) | st.just(8.0),
    "variance": st.none() | st.floats(0, 1, exclude_min=True) | st.just(1),
    "engine": st.sampled_from(["openvino", "tensorflow"]),
    "instance_type": st.sampled_from(sorted(INSTANCES)),
    "instance_types": st.lists(st.sampled_from(["m5.xlarge", "c5.xlarge", "m7g.xlarge"]), max_size=2),
    "ebs_gib": st.integers(10, 1024) | st.just(64.0),
    "min_core_nodes": st.integers(1, 20),
    "rate": st.integers(1, 1_000_000) | st.floats(1, 1e6),
    "log_seconds": st.floats(0, 3600),
    "max_reject_share": st.floats(0, 1),
    "subnets": st.lists(st.text()),
    "security_configuration": st.none() | st.text(),
    "bootstrap": st.none() | st.just("s3://bucket/lake/bootstrap/1"),
    "tags": st.dictionaries(st.text(), st.text()),
    "$schema": st.just("../../docs/settings.schema.json"),
}


@given(st.fixed_dictionaries({}, optional=GOOD))
def test_what_orchard_takes_the_schema_takes(said: dict[str, Any]) -> None:
    """And of what the schema takes, only that is refused which one setting asks of another."""
    there = list(jsonschema.Draft202012Validator(schema()).iter_errors(LEAST | said))
    try:
        Settings.parse(LEAST | said)
    except SettingsError as error:
        names = {line.split(":")[0].removeprefix("Setting ") for line in str(error).split("\n")}
        assert names <= {"region", "variance", "instance_types", "max_core_nodes"}
        assert ("region" in names) == any(list(one.path) == ["region"] for one in there)
    else:
        assert there == []


def test_the_schema_asks_for_what_must_be_there() -> None:
    (refused,) = jsonschema.Draft202012Validator(schema()).iter_errors(
        {"lake": "s3://bucket/lake", "prefixes": ["s3://bu1"]}
    )
    assert refused.message == "'extractor' is a required property"


def test_several_instance_types_take_the_place_of_one() -> None:
    assert SETTINGS.types == ("m5.xlarge",)
    assert settings(instance_types=("m6g.xlarge", "m7g.xlarge")).types == ("m6g.xlarge", "m7g.xlarge")
    # And nothing is asked of the one that they take the place of.
    assert settings(instance_type="m5.xlarge", instance_types=("m7g.xlarge",)).types == ("m7g.xlarge",)


def test_the_nodes_python_is_the_one_that_the_bootstrap_makes() -> None:
    made = settings(bootstrap="s3://bucket/lake/bootstrap/0123456789ab")
    assert made.interpreter == "/opt/orchard/bin/python"
    assert settings(bootstrap=made.bootstrap, python="/usr/bin/python3.11").interpreter == "/usr/bin/python3.11"
    assert SETTINGS.interpreter is None


@pytest.mark.parametrize(
    ("lake", "prefix"),
    [
        ("s3://bucket/lake", "s3://bucket/lake"),
        ("s3://bucket/lake/", "s3://bucket/lake/photos"),
        ("s3://bucket/lake", "s3://bucket/la*"),
        ("s3://bucket/lake", "s3://bucket/"),
        ("s3://bucket/lake", "s3://bucket"),
        ("s3://bucket", "s3://bucket/photos"),
    ],
)
def test_lake_and_photos_stand_side_by_side(lake: str, prefix: str) -> None:
    assert refusal(lake=lake, prefixes=["s3://bucket2/x", prefix]) == (
        f'Setting prefixes[1]: got "{prefix}", expected a place beside the lake, "{lake}": of one in the other, the '
        "lake's own pictures would be taken for photos; put the lake beside the photos, such as s3://bucket/lake and "
        "s3://bucket/photos."
    )


def test_names_that_only_begin_alike_are_side_by_side() -> None:
    assert settings(
        prefixes=(
            "s3://bucket/la",
            "s3://bucket/lake-photos",
            "s3://bucket/lake-*",
            "s3://bucket/lake2/",
            "s3://buck",
            "s3://bucket2",
        )
    )


@pytest.mark.parametrize("held", [None, [], "lake", 7])
def test_not_an_object(held: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.parse(held)
    assert str(refused.value) == f"The variable orchard is to hold a JSON object of settings, got {held!r}."


def test_missing_settings() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.parse({"prefixs": ["s3://bucket/photos"]})
    assert str(refused.value).split("\n") == [
        'Setting lake: got nothing, expected s3://bucket[/prefix]; add it, such as "lake": "s3://bucket/lake".',
        "Setting prefixes: got nothing, expected a list of s3://bucket[/prefix], one or more; "
        'add it, such as "prefixes": ["s3://bucket/photos"].',
        "Setting extractor: got nothing, expected an extractor_id; "
        'add it, such as "extractor": "mobilenet_v2-f32-575378b4658d".',
        'Setting prefixs: got ["s3://bucket/photos"], expected prefixes; correct the name.',
    ]


def test_read_from_airflows_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable is the first place where Airflow looks."""
    monkeypatch.setenv("AIRFLOW_VAR_ORCHARD", json.dumps(LEAST))
    assert read_settings() == SETTINGS


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            None,
            f"The Airflow variable orchard is missing. Set it (Admin, Variables) to a JSON object such as {EXAMPLE}.",
        ),
        ("[1]", "The variable orchard is to hold a JSON object of settings, got [1]."),
        (
            "{'lake'}",
            "The variable orchard is to hold a JSON object of settings: "
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1).",
        ),
        (
            '{"rate": 50, "rate": 80}',
            'The variable orchard is to hold a JSON object of settings: "rate" stands twice in one object, '
            "take out one of them.",
        ),
    ],
)
def test_the_variable_is_missing_or_something_else(
    held: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import Variable

    def get(key: str, default: Any) -> Any:
        assert key == "orchard"
        return default if held is None else held

    monkeypatch.setattr(Variable, "get", get)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert str(refused.value) == message
