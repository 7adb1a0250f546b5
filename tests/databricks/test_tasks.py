"""The job's tasks, one after the other, with the bundle's command lines: two days in a bucket and a Glue catalog."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchard.lake.tables import open_catalog
from tests.conftest import Aws
from tests.databricks.bundle import FOLDER, TASKS, parameters
from tests.lakes import sample

PATHS = os.pathsep.join(map(str, (FOLDER.parent, FOLDER.parent / "plugins", FOLDER)))
# What Databricks does: entry points without arguments, the command line in sys.argv, conditions by task values.
RUNNER = """
import json, runpy, sys, types
from importlib.metadata import EntryPoint

class Values:
    def set(self, key, value): print(f"VALUE {key}={value}", flush=True)

dbutils = types.SimpleNamespace(jobs=types.SimpleNamespace(taskValues=Values()))
sys.modules["airflow"] = None  # which is not there
sys.modules["databricks.sdk"] = types.ModuleType("databricks.sdk")
sys.modules["databricks.sdk.runtime"] = types.SimpleNamespace(dbutils=dbutils)
for module, arguments in json.loads(sys.argv[1]):
    sys.argv = [module, *arguments]
    EntryPoint("task", f"{module}:main", "console_scripts").load()()
"""
MODULES = {
    "find": "orchard_job.find",
    "extract": "spark_jobs.extract_embeddings",
    "reduce": "spark_jobs.reduce_embeddings",
    "check": "orchard_job.check",
}


def run(*tasks: str, **values: str) -> "subprocess.CompletedProcess[str]":
    """Run tasks in one process: Spark starts once."""
    asked = [(MODULES[task], parameters(task, **values)) for task in tasks]
    return subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(asked)],
        env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def values(aws: Aws, bucket: str, small_artefact: Path, tmp_path: Path) -> dict[str, str]:
    """Put photos and an extractor into a bucket; give the bundle's variables."""
    s3 = aws.client("s3")
    s3.upload_file(str(small_artefact), bucket, f"lake/extractors/{small_artefact.name}")
    for path in sample(tmp_path, per_label=3):
        s3.upload_file(str(path), bucket, f"photos/{path.parent.name}/{path.name}")
    return {
        "lake": f"s3://{bucket}/lake",
        "photos": f"s3://{bucket}/photos/",
        "database": bucket.replace("-", "_"),
        "extractor": small_artefact.stem,
        "variance": "0.5",
    }


@pytest.mark.long
def test_two_days(aws: Aws, bucket: str, values: dict[str, str]) -> None:
    assert list(MODULES) == [key for key, task in TASKS.items() if "python_wheel_task" in task]
    # The first day's steps failed, the second of them for good; nothing new came since.
    lost = run("find", "check", run_id="1", **values)
    assert (lost.returncode, lost.stdout) == (1, "VALUE anything=true\n")
    assert "LostError: Run databricks-1: the sums do not match" in lost.stderr
    assert "asked=12, embedded=0, rejected=0, relabelled=0, superseded=0, lost=12" in lost.stderr
    done = run("extract", run_id="1", **values)
    assert done.returncode == 0, done.stderr[-4000:]
    behind = run("find", run_id="2", **values)
    assert behind.returncode == 1
    assert "the embeddings of databricks-1 are not folded in: the second step of that run failed" in behind.stderr

    s3 = aws.client("s3")
    s3.copy_object(Bucket=bucket, Key="photos/Banana/new.jpg", CopySource=f"{bucket}/photos/Banana/1.jpg")
    s3.delete_object(Bucket=bucket, Key="photos/Banana/0.jpg")
    done = run("find", "extract", "reduce", "check", run_id="3", label="^photos/([^ /]+)", **values)
    assert done.returncode == 0, done.stderr[-4000:]
    catalog = open_catalog(values["lake"], values["database"])
    (row,) = catalog.load_table((values["database"], "runs")).scan().to_arrow().to_pylist()
    known = ("run_id", "added", "changed", "deleted", "embedded", "rejected", "cluster", "why", "options")
    known += ("relabelled", "label_rule")
    assert {name: row[name] for name in known} == {
        "run_id": "databricks-3",
        "added": 1,
        "changed": 0,
        "deleted": 1,
        "embedded": 1,
        "rejected": 0,
        "relabelled": 3,
        "label_rule": "^photos/([^ /]+)",
        "cluster": "databricks",
        "why": "first basis",
        "options": '{"request": {"components": null, "standardize": false, "variance": 0.5}, "shrinkage": null}',
    }
    placed = catalog.load_table((values["database"], "coordinates")).scan(selected_fields=("uri",)).to_arrow()
    present = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="photos/")["Contents"]]
    assert len(present) == 12
    assert sorted(placed["uri"].to_pylist()) == sorted(f"s3://{bucket}/{key}" for key in present)

    nothing = run("find", run_id="4", label="^photos/([^ /]+)", **values)
    assert (nothing.returncode, nothing.stdout) == (0, "VALUE anything=false\n"), nothing.stderr[-4000:]
