"""What a step leaves in the bucket: what it did, or why it failed."""

import json
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from spark_jobs.running.outcome import Outcome


@dataclass(frozen=True)
class Did:
    photos: int = 3


def files(lake: Path) -> list[str]:
    return sorted(path.name for path in (lake / "steps" / "r1").glob("*"))


def fail(lake: str, error: BaseException) -> None:
    with pytest.raises(type(error)), Outcome(lake, "r1", "extract").told():
        raise error


def test_a_success_leaves_what_it_did(tmp_path: Path) -> None:
    with Outcome(str(tmp_path), "r1", "extract").told() as outcome:
        outcome.succeeded(Did())
    assert files(tmp_path) == ["extract.json"]
    assert json.loads((tmp_path / "steps" / "r1" / "extract.json").read_text()) == {"photos": 3}


def test_a_failure_leaves_its_traceback_and_goes_on_its_way(tmp_path: Path) -> None:
    fail(str(tmp_path), ValueError("no such fruit"))
    assert files(tmp_path) == ["extract.traceback"]
    told = (tmp_path / "steps" / "r1" / "extract.traceback").read_text()
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith("ValueError: no such fruit\n")


def test_each_try_takes_away_what_the_one_before_left(tmp_path: Path) -> None:
    fail(str(tmp_path), ValueError("no such fruit"))
    with Outcome(str(tmp_path), "r1", "extract").told() as outcome:
        outcome.succeeded(Did())
    assert files(tmp_path) == ["extract.json"]
    fail(str(tmp_path), MemoryError())
    assert files(tmp_path) == ["extract.traceback"]


def test_the_other_step_is_left_alone(tmp_path: Path) -> None:
    with Outcome(str(tmp_path), "r1", "extract").told() as outcome:
        outcome.succeeded(Did())
    with pytest.raises(KeyError), Outcome(str(tmp_path), "r1", "reduce").told():
        raise KeyError("x")
    assert files(tmp_path) == ["extract.json", "reduce.traceback"]


def test_leaving_with_success_is_no_failure(tmp_path: Path) -> None:
    fail(str(tmp_path), SystemExit(0))
    assert files(tmp_path) == []
    fail(str(tmp_path), SystemExit(1))
    assert files(tmp_path) == ["extract.traceback"]


def test_a_traceback_that_cannot_be_left_does_not_hide_the_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = Outcome(str(tmp_path), "r1", "extract")
    with pytest.raises(ValueError, match="no such fruit"), outcome.told():
        (tmp_path / "steps").write_text("a file where a folder is wanted")
        raise ValueError("no such fruit")
    assert "The traceback could not be left at steps/r1/extract." in caplog.text


def test_on_s3(bucket: str) -> None:
    fail(f"s3://{bucket}/lake", ValueError("no such fruit"))
    body = boto3.client("s3").get_object(Bucket=bucket, Key="lake/steps/r1/extract.traceback")["Body"].read()
    assert body.endswith(b"ValueError: no such fruit\n")
