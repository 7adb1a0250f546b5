"""The bundle against what Databricks' own package says that a job is, and against what is in this repository."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from databricks.bundles.jobs import AwsAttributes, Job

from local.jars import read_lock
from tests.databricks.bundle import BUNDLE, FOLDER, JOB, TASKS

REPOSITORY = FOLDER.parent


def test_the_job_is_one_that_databricks_knows() -> None:
    """The package that Databricks publishes for bundles refuses fields and values that its API does not have."""
    job = Job.from_dict(JOB)
    assert [task.task_key for task in job.tasks] == ["find", "anything_to_do", "extract", "reduce", "check"]
    with pytest.raises(ValueError, match="Unexpected field 'numworkers'"):
        Job.from_dict({"job_clusters": [{"job_cluster_key": "x", "new_cluster": {"numworkers": 2}}]})
    with pytest.raises(ValueError, match="'SHARED' is not a valid DataSecurityMode"):
        Job.from_dict({"job_clusters": [{"job_cluster_key": "x", "new_cluster": {"data_security_mode": "SHARED"}}]})


def test_nodes_are_on_demand_with_a_disk_of_their_own() -> None:
    (cluster,) = JOB["job_clusters"]
    assert cluster["new_cluster"]["aws_attributes"] == {
        "instance_profile_arn": "${var.instance_profile}",
        "availability": "${var.availability}",
        "first_on_demand": 1,
        "ebs_volume_type": "GENERAL_PURPOSE_SSD",
        "ebs_volume_count": 1,
        "ebs_volume_size": 64,
    }
    assert BUNDLE["variables"]["availability"]["default"] == "ON_DEMAND"
    for one in ("ON_DEMAND", "SPOT_WITH_FALLBACK"):  # Databricks' package checks no variable's value
        AwsAttributes.from_dict({**cluster["new_cluster"]["aws_attributes"], "availability": one})
    with pytest.raises(ValueError, match="'CHEAP' is not a valid AwsAvailability"):
        AwsAttributes.from_dict({"availability": "CHEAP"})


def test_each_task_waits_for_the_one_before() -> None:
    waits = {key: [dict(one) for one in task.get("depends_on", ())] for key, task in TASKS.items()}
    assert waits == {
        "find": [],
        "anything_to_do": [{"task_key": "find"}],
        "extract": [{"task_key": "anything_to_do", "outcome": "true"}],
        "reduce": [{"task_key": "extract"}],
        "check": [{"task_key": "reduce"}],
    }
    clusters = {task["job_cluster_key"] for task in TASKS.values() if "job_cluster_key" in task}
    assert clusters == {one["job_cluster_key"] for one in JOB["job_clusters"]}


def test_variables() -> None:
    text = (FOLDER / "databricks.yml").read_text("utf-8")
    assert {name for name in BUNDLE["variables"] if f"${{var.{name}}}" in text} == set(BUNDLE["variables"])
    assert {name for name, one in BUNDLE["variables"].items() if "default" not in one} == {
        "lake",
        "photos",
        "extractor",
        "instance_profile",
    }


def test_its_jars_are_those_that_are_tested() -> None:
    locked = {coordinates for coordinates, _ in read_lock(REPOSITORY / "jars.lock").values()}
    for task in TASKS.values():
        wanted = {one["maven"]["coordinates"] for one in task.get("libraries", ()) if "maven" in one}
        assert wanted <= locked
        assert len(wanted) == 2 * ("libraries" in task)


def test_the_wheel_has_what_the_tasks_name(tmp_path: Path) -> None:
    """Built as the bundle builds it, apart from where it is put and whose setuptools it is."""
    for folder in ("databricks", "plugins", "spark_jobs"):  # setuptools would leave its work beside the sources
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("build", "__pycache__"))
    uv = Path(sys.prefix, "bin", "uv")
    command = [
        uv,
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--offline",
        "--python",
        sys.executable,
        "--out-dir",
        tmp_path,
    ]
    done = subprocess.run(
        [*map(str, command)], cwd=tmp_path / "databricks", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    name = tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))["project"]["name"]
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "unpacked")
    plugins = REPOSITORY / "plugins"
    code = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "spark_jobs").rglob("*.py")}
    code |= {path.relative_to(plugins).as_posix() for path in (plugins / "orchard").rglob("*.py")}
    assert code <= names
    assert {"orchard/photos/discovery.py", "orchard_job/find.py", "orchard_job/check.py"} <= names
    lines = (tmp_path / "unpacked" / f"{name}-0.1.0.dist-info" / "entry_points.txt").read_text().splitlines()
    entries = dict(line.split(" = ") for line in lines if " = " in line)
    asked = [task["python_wheel_task"] for task in TASKS.values() if "python_wheel_task" in task]
    assert {one["package_name"] for one in asked} == {name}
    assert {one["entry_point"] for one in asked} == set(entries)
    # As on the cluster: nothing of the repository but what is in the wheel, and no Airflow.
    code = (
        "import sys; from importlib.metadata import EntryPoint; sys.modules['airflow'] = None\n"
        "for one in sys.argv[1:]: EntryPoint('', one, '').load()"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code, *entries.values()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
