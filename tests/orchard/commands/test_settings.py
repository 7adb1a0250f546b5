import json
from pathlib import Path

import jsonschema
import pytest

from orchard.__main__ import main
from tests.plans import EXTRACTOR


def test_a_file_in_which_nothing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "settings.json"
    given = {"lake": "s3://bucket/lake/", "prefixes": ["s3://bucket/photos"], "extractor": EXTRACTOR}
    file.write_text(json.dumps({"$schema": "settings.schema.json", **given}))
    assert main(["settings", "--check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: nothing is wrong with these settings, of the lake s3://bucket/lake.\n"


def test_a_release_that_is_unknown_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "settings.json"
    given = {"lake": "s3://bucket/lake/", "prefixes": ["s3://bucket/photos"], "extractor": EXTRACTOR}
    file.write_text(json.dumps({"release": "emr-99", **given}))
    assert main(["settings", "--check", str(file)]) == 0
    assert capsys.readouterr().err == (
        f"{file}: warning: the release is unknown. ReleaseLabel: expected emr-7.*.* or emr-spark-8.*.*, such as "
        "emr-7.14.0, got 'emr-99': a run would stop at it.\n"
    )


def test_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """A schema by its own schema's rules, without an address of its own; every setting is described."""
    assert main(["settings", "--schema"]) == 0
    made = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(made)
    assert made["required"] == ["lake", "prefixes", "extractor"]
    assert "$id" not in made
    assert [name for name, one in made["properties"].items() if not one.get("description")] == []
    defaults = {name: one["default"] for name, one in made["properties"].items() if "default" in one}
    assert len(defaults) == len(made["properties"]) - 4
    assert defaults["ebs_gib"] == 64
    assert made["properties"]["engine"]["enum"] == ["openvino", "tensorflow"]


def test_one_of_the_two_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["settings"])
    assert refused.value.code == 2
    assert "one of the arguments --check --schema is required" in capsys.readouterr().err
