"""The contract of the two planes: whoever runs the steps, their command lines are those that the jobs read."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from orchard.cluster.request import STEPS
from orchard.plan import request_json
from spark_jobs import extract_embeddings, maintain_tables, reduce_embeddings
from spark_jobs.tables.location import LakeLocation
from tests.databricks.bundle import parameters
from tests.plans import CODE, EXTRACTOR, plan

Arguments = Callable[[str], list[str]]
SCRIPTS = {"extract": "extract_embeddings", "reduce": "reduce_embeddings", "maintain": "maintain_tables"}


def on_emr(step: str) -> list[str]:
    """Return what spark-submit gives to the job."""
    run = plan(
        lake="s3://bucket/lake",
        database="orchard_prod",
        run_id="a-run",
        step_options={"variance": 0.9, "refit": "auto"},
    )
    command: list[str] = STEPS[step](run, CODE)["HadoopJarStep"]["Args"]
    return command[command.index(CODE[SCRIPTS[step]]) + 1 :]


def on_databricks(step: str) -> list[str]:
    """Return what Databricks gives to the entry point."""
    chosen = {"lake": "s3://bucket/lake", "database": "orchard_prod", "extractor": EXTRACTOR, "variance": "0.9"}
    return parameters(step, run_id="7", **chosen)


@pytest.fixture(params=[(on_emr, "a-run"), (on_databricks, "databricks-7")], ids=["emr", "databricks"])
def runner(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_step_1(runner: tuple[Arguments, str]) -> None:
    arguments, run_id = runner
    args = extract_embeddings.parse(arguments("extract"))
    assert vars(args) == {
        "lake": "s3://bucket/lake",
        "database": "orchard_prod",
        "run_id": run_id,
        "extractor": f"s3://bucket/lake/extractors/{EXTRACTOR}.zip",
        "engine": "openvino",
    }
    where = LakeLocation.parse(args.lake, args.database)
    assert asdict(where) == {"root": "s3://bucket/lake", "database": "orchard_prod"}


def test_step_2(runner: tuple[Arguments, str]) -> None:
    arguments, run_id = runner
    args, options = reduce_embeddings.parse(arguments("reduce"))
    assert (args.lake, args.database, args.run_id, args.extractor_id) == (
        "s3://bucket/lake",
        "orchard_prod",
        run_id,
        EXTRACTOR,
    )
    assert (options.refit, options.request.components, options.request.variance) == ("auto", None, 0.9)
    # What the control plane keeps of it in `runs`, to see whether another basis is asked for.
    assert options.to_json() == request_json({"variance": 0.9})


def test_maintenance() -> None:
    assert vars(maintain_tables.parse(on_emr("maintain"))) == {
        "lake": "s3://bucket/lake",
        "database": "orchard_prod",
        "run_id": "a-run",
        "keep_days": 30.0,
    }


def test_a_step_without_what_it_needs_is_refused(runner: tuple[Arguments, str]) -> None:
    arguments, _ = runner
    for step, parse in (("extract", extract_embeddings.parse), ("reduce", reduce_embeddings.parse)):
        given = arguments(step)
        for needed in ("--lake", "--run-id"):
            less = [one for i, one in enumerate(given) if not one.startswith(needed) and given[i - 1] != needed]
            assert len(less) < len(given)
            with pytest.raises(SystemExit):
                parse(less)
