"""The job's tasks, one after the other, with the command lines of the bundle: two days in a lake on this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchard.lake import open_catalog
from tests.databricks.bundle import FOLDER, TASKS, parameters
from tests.lakes import sample, shelve

REPOSITORY = FOLDER.parent
# What Databricks does: entry points without arguments, the command line in sys.argv, conditions by task values.
RUNNER = """
import json, runpy, sys, types
from importlib.metadata import EntryPoint

class Values:
    def set(self, key, value): print(f"VALUE {key}={value}", flush=True)

dbutils = types.SimpleNamespace(jobs=types.SimpleNamespace(taskValues=Values()))
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
    """Run tasks; those of Spark in one process, which starts it once, the others each in their own."""
    spark = [task for task in tasks if task in ("extract", "reduce")]
    for together in ([one] if one not in spark else spark for one in tasks if one not in spark[1:]):
        done = _run([(MODULES[task], parameters(task, **values)) for task in together])
        if done.returncode:
            break
    return done


def _run(asked: list[tuple[str, list[str]]]) -> "subprocess.CompletedProcess[str]":
    paths = [REPOSITORY, REPOSITORY / "plugins", FOLDER]
    return subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(asked)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_two_days(random_artefact: Path, tmp_path: Path) -> None:
    assert list(MODULES) == [key for key, task in TASKS.items() if "python_wheel_task" in task]
    paths = sample(tmp_path / "photos", per_label=3)
    values = {
        "lake": str(tmp_path / "lake"),
        "photos": str(tmp_path / "photos"),
        "extractor": shelve(tmp_path / "lake", random_artefact),
        "variance": "0.5",
    }
    # The first day's second step failed, as a kill would have it; nothing new came since.
    found = run("find", run_id="1", **values)
    assert (found.returncode, found.stdout) == (0, "VALUE anything=true\n"), found.stderr[-4000:]
    done = run("extract", run_id="1", **values)
    assert done.returncode == 0, done.stderr[-4000:]
    behind = run("find", run_id="2", **values)
    assert behind.returncode == 1
    assert "the embeddings of databricks-1 are not folded in: the second step of that run failed" in behind.stderr

    paths[0].unlink()
    shutil.copy(paths[3], tmp_path / "photos" / "Banana" / "new.jpg")
    done = run("find", "extract", "reduce", "check", run_id="3", **values)
    assert done.returncode == 0, done.stderr[-4000:]
    catalog = open_catalog(values["lake"])
    (row,) = catalog.load_table("orchard.runs").scan().to_arrow().to_pylist()
    known = ("run_id", "added", "changed", "deleted", "embedded", "rejected", "cluster", "why", "options")
    assert {name: row[name] for name in known} == {
        "run_id": "databricks-3",
        "added": 1,
        "changed": 0,
        "deleted": 1,
        "embedded": 1,
        "rejected": 0,
        "cluster": "databricks",
        "why": "first basis",
        "options": '{"request": {"components": null, "standardize": false, "variance": 0.5}, "shrinkage": null}',
    }
    placed = catalog.load_table("orchard.coordinates").scan(selected_fields=("uri",)).to_arrow()["uri"].to_pylist()
    assert sorted(placed) == sorted(f"file://{path}" for path in (tmp_path / "photos").glob("*/*.jpg"))

    nothing = run("find", run_id="4", **values)
    assert (nothing.returncode, nothing.stdout) == (0, "VALUE anything=false\n"), nothing.stderr[-4000:]


def test_a_lost_photo_fails_the_check(random_artefact: Path, tmp_path: Path) -> None:
    sample(tmp_path / "photos", per_label=1, labels=2)
    values = {
        "lake": str(tmp_path / "lake"),
        "photos": str(tmp_path / "photos"),
        "extractor": shelve(tmp_path / "lake", random_artefact),
    }
    lost = run("find", "check", run_id="1", **values)
    assert lost.returncode == 1
    assert "LostError: Run databricks-1: the sums do not match" in lost.stderr
    assert "asked=2, embedded=0, rejected=0, superseded=0, lost=2" in lost.stderr


@pytest.mark.parametrize("task", ["find", "check"])
def test_help_says_what_it_is_for(task: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", MODULES[task], "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "plugins", FOLDER)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
