import json
import re
from dataclasses import fields
from typing import Any

import pytest

from orchard.settings import EU_REGIONS, Settings, SettingsError, read_settings
from tests.plans import EXTRACTOR, SETTINGS, settings

LEAST = {"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": EXTRACTOR}
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
    assert (SETTINGS.jobs / "extract_embeddings.py").is_file()


def test_all_that_can_be_said() -> None:
    """Every setting, each with another value than its default: nothing is dropped on the way."""
    given = LEAST | {
        "label": "parent/2",
        "database": "fruit",
        "region": "us-east-1",
        "outside_eu": True,
        "components": None,
        "variance": 0.9,
        "standardize": True,
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
        "poll_seconds": 1,
        "log_seconds": 0,
        "maintain_days": 1,
        "keep_days": 90,
        "console": "http://localhost:5555",
    }
    assert given.keys() == {one.name for one in fields(Settings)}
    parsed = Settings.parse(json.loads(json.dumps(given)))
    assert {one.name: getattr(parsed, one.name) for one in fields(Settings)} == given | {
        "prefixes": ("s3://bucket/photos",),
        "subnets": ("subnet-1", "subnet-2"),
        "instance_types": ("m6g.xlarge", "m7g.xlarge"),
    }
    # JSON writes 20 for 20.0; what is compared and written later does not depend on it.
    assert [type(one) for one in (parsed.target_minutes, parsed.rate, parsed.max_reject_share)] == [float] * 3


@pytest.mark.parametrize("region", EU_REGIONS)
def test_regions_of_the_eu(region: str) -> None:
    assert settings(region=region).region == region


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2", "eu", ""])
def test_a_region_outside_the_eu_is_refused(region: str) -> None:
    """London and Zurich are outside, whatever AWS calls them."""
    assert refusal(region=region) == (
        f"Setting region: {region} is outside the EU, where the data are to stay; expected one of eu-central-1, "
        "eu-north-1, eu-south-1, eu-south-2, eu-west-1, eu-west-3, eusc-de-east-1. "
        'If that is meant, say so outright: "outside_eu": true.'
    )
    assert settings(region=region, outside_eu=True).region == region


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lake": "bucket/lake"}, "lake: expected s3://bucket[/prefix], got 'bucket/lake'."),
        ({"lake": "s3://b"}, "lake: expected s3://bucket[/prefix], got 's3://b'."),
        (
            {"prefixes": ["s3://bucket/photos", "/home/photos"]},
            "prefixes[1]: expected s3://bucket[/prefix], got '/home/photos'.",
        ),
        ({"prefixes": "s3://bucket/photos"}, "prefixes: expected a list of strings, got 's3://bucket/photos'."),
        ({"extractor": "mobilenet_v2"}, "extractor: expected an extractor_id, got 'mobilenet_v2'."),
        ({"components": 0}, "components: expected 1 or more, got 0."),
        ({"components": 20.5}, "components: expected int or nothing, got 20.5."),
        ({"components": True}, "components: expected int or nothing, got True."),
        ({"components": 20, "variance": 0.9}, "variance: expected none beside components, got 0.9."),
        ({"variance": 0}, "variance: expected a share in (0, 1], got 0.0."),
        ({"variance": 1.5}, "variance: expected a share in (0, 1], got 1.5."),
        ({"variance": float("nan")}, "variance: expected a share in (0, 1], got nan."),
        ({"standardize": "yes"}, "standardize: expected bool, got 'yes'."),
        ({"engine": "onnx"}, "engine: expected openvino or tensorflow, got 'onnx'."),
        ({"min_core_nodes": 0}, "min_core_nodes: expected 1 or more, got 0."),
        (
            {"min_core_nodes": 3, "max_core_nodes": 2},
            "max_core_nodes: expected no less than min_core_nodes, got 2.",
        ),
        (
            {"instance_types": ["m5.xlarge", "m5.xlarge"]},
            "instance_types: expected each type once, got ['m5.xlarge', 'm5.xlarge'].",
        ),
        (
            {"instance_types": ["m5.xlarge", "m6g.xlarge"]},
            "instance_types: expected one architecture: the nodes' Python is built for one, "
            "got ['m5.xlarge', 'm6g.xlarge'].",
        ),
        ({"ebs_gib": 9}, "ebs_gib: expected 10 to 1024, EMR's limits, got 9."),
        ({"ebs_gib": 1025}, "ebs_gib: expected 10 to 1024, EMR's limits, got 1025."),
        (
            {"primary_security_group": "sg-1", "core_security_group": "sg-2"},
            "primary_security_group, core_security_group, service_security_group: expected all three or none, "
            "got ('sg-1', 'sg-2', None).",
        ),
        *(
            (
                {"bootstrap": address},
                f"bootstrap: expected s3://bucket/folder, without a slash at its end, got '{address}'.",
            )
            for address in ("/opt/install.sh", "s3://bucket/lake/bootstrap/", "s3://bucket")
        ),
        ({"target_minutes": 0}, "target_minutes: expected more than 0, got 0.0."),
        (
            {"label": "parent/0"},
            "label 'parent/0': expected parent, parent/2 (or another number of levels up, from 1), or a regular "
            "expression with a group, such as ([^/_]+)_[^/]*$.",
        ),
        ({"label": 2}, "label: expected str, got 2."),
        ({"rate": 0}, "rate: expected more than 0 photos a second a vCPU, got 0.0."),
        ({"idle_minutes": 0}, "idle_minutes: expected 1 to 10080, EMR's limits, got 0."),
        ({"idle_minutes": 10081}, "idle_minutes: expected 1 to 10080, EMR's limits, got 10081."),
        ({"poll_seconds": 0}, "poll_seconds: expected more than 0, got 0.0."),
        ({"maintain_days": -1}, "maintain_days: expected 0 or more, got -1.0."),
        ({"keep_days": -0.5}, "keep_days: expected 0 or more, got -0.5."),
        ({"log_seconds": -1}, "log_seconds: expected 0 or more, got -1.0."),
        ({"max_reject_share": 1.1}, "max_reject_share: expected a share in [0, 1], got 1.1."),
        ({"max_reject_share": "5%"}, "max_reject_share: expected float, got '5%'."),
        ({"tags": {"team": 7}}, "tags: expected an object of strings, got {'team': 7}."),
        ({"subnets": [7]}, "subnets: expected a list of strings, got [7]."),
        ({"region": None}, "region: expected str, got None."),
        ({"python": 3}, "python: expected str or nothing, got 3."),
    ],
)
def test_what_cannot_be_meant(changes: dict[str, Any], message: str) -> None:
    assert refusal(**changes) == f"Setting {message}"


@pytest.mark.parametrize("changes", [{"instance_type": "m5.huge"}, {"instance_types": ["m5.xlarge", "m5.huge"]}])
def test_an_instance_type_of_unknown_size(changes: dict[str, Any]) -> None:
    said = refusal(**changes)
    assert said.startswith(f"Setting {next(iter(changes))}: expected some of c5.2xlarge, c5.4xlarge, c5.9xlarge, ")
    assert said.endswith(", got 'm5.huge'.")


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
        ("s3://bucket/lake", "s3://bucket/la"),  # a prefix need not end at a slash
        ("s3://bucket/lake", "s3://bucket/"),
        ("s3://bucket/lake", "s3://bucket"),
        ("s3://bucket", "s3://bucket/photos"),
    ],
)
def test_lake_and_photos_stand_side_by_side(lake: str, prefix: str) -> None:
    assert refusal(lake=lake, prefixes=["s3://bucket2/x", prefix]) == (
        f"Setting prefixes: {prefix} and the lake {lake} lie in one another, and the lake's own pictures would "
        "be taken for photos. Put the lake beside the photos, such as s3://bucket/lake and s3://bucket/photos."
    )


def test_names_that_only_begin_alike_are_side_by_side() -> None:
    assert settings(prefixes=("s3://bucket/lake-photos", "s3://bucket/lake2/", "s3://buck", "s3://bucket2"))


@pytest.mark.parametrize("given", [None, [], "lake", 7])
def test_not_an_object(given: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.parse(given)
    assert str(refused.value) == f"The variable orchard is to hold a JSON object of settings, got {given!r}."


def test_unknown_and_missing_settings() -> None:
    assert refusal(colour="red", size=3) == (
        "Unknown settings colour, size; expected some of bootstrap, components, console, core_security_group, "
        "database, ebs_gib, engine, extractor, idle_minutes, instance_profile, instance_type, instance_types, "
        "keep_days, label, lake, log_seconds, maintain_days, max_core_nodes, max_reject_share, min_core_nodes, "
        "outside_eu, poll_seconds, prefixes, primary_security_group, python, rate, region, release, "
        "security_configuration, service_role, service_security_group, spot, standardize, subnets, tags, "
        "target_minutes, variance."
    )
    assert refusal(prefixes=[], extractor=None) == (
        f"The variable orchard lacks prefixes, extractor. It is to hold at least {EXAMPLE}."
    )
    with pytest.raises(SettingsError, match=re.escape("lacks lake, prefixes, extractor. It is to hold at least {")):
        Settings.parse({})


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
    ],
)
def test_the_variable_is_missing_or_something_else(
    held: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import Variable

    def get(key: str, default: Any, deserialize_json: bool) -> Any:
        assert (key, deserialize_json) == ("orchard", True)
        return default if held is None else json.loads(held)

    monkeypatch.setattr(Variable, "get", get)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert str(refused.value) == message
