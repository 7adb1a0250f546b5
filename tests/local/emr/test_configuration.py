"""What a cluster's Configurations mean on one machine."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from local.emr import configuration
from local.emr.settings import Settings
from local.emr.state import Cluster
from local.emr.store import Store


def cluster(*configurations: dict[str, Any]) -> Cluster:
    return Cluster("j-1", {"Name": "x", "ReleaseLabel": "emr-7.14.0", "Configurations": list(configurations)})


def export(**variables: str) -> dict[str, Any]:
    return {
        "Classification": "spark-env",
        "Properties": {},
        "Configurations": [{"Classification": "export", "Properties": variables}],
    }


def test_nested_properties_are_merged() -> None:
    one = cluster(
        {"Classification": "spark-defaults", "Properties": {"a": "1", "b": "1"}},
        {"Classification": "spark-defaults", "Properties": {"b": "2"}},
        {"Classification": "core-site", "Properties": {"c": "3"}},
        export(X="y"),
    )
    assert configuration.merged(one, "spark-defaults") == {"a": "1", "b": "2"}
    assert configuration.merged(one, "spark-env", "export") == {"X": "y"}
    assert configuration.merged(one, "hive-site") == {}


def test_settings() -> None:
    base = {"spark.master": "local[2]", "spark.driver.extraClassPath": "/j.jar", "spark.ui.enabled": "false"}
    settings = configuration.spark_settings(
        base,
        {
            "spark.master": "yarn",
            "spark.dynamicAllocation.enabled": "true",
            "spark.driver.extraClassPath": "/own.jar",
            "spark.executor.memory": "8g",
            "spark.pyspark.python": "/no/such/python",
            "spark.sql.x": "1",
            "spark.yarn.y": "2",
        },
        {"spark.sql.x": "2"},
    )
    assert settings == {
        "spark.master": "local[2]",
        "spark.driver.extraClassPath": f"/j.jar{os.pathsep}/own.jar",
        "spark.ui.enabled": "false",
        "spark.sql.x": "2",
    }


@pytest.mark.parametrize(("asked", "given"), [("1g", "1g"), ("512", "512"), ("a lot", "a lot"), ("200m", "200m")])
def test_memory_that_the_machine_has(asked: str, given: str) -> None:
    assert configuration.capped(asked) == given


def test_memory_that_it_has_not() -> None:
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 // 2**20
    assert configuration.capped("90t") == configuration.capped("90TB") == f"{half}m"


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (
        ("PYTHONPATH", "/x"),
        ("SPARK_CONF_DIR", "/x"),
        ("_JAVA_OPTIONS", "-x"),
        ("AWS_ACCESS_KEY_ID", "me"),
        ("MINE", "1"),
    ):
        monkeypatch.setenv(name, value)
    settings = Settings(tmp_path, s3_endpoint="http://localhost:1", region="eu-central-1")
    monkeypatch.delenv("AWS_REGION", raising=False)
    one = cluster(export(PYSPARK_PYTHON="/no/such/python", EXPORTED="2"))
    made = configuration.environment(one, settings, tmp_path, {"spark.yarn.appMasterEnv.THEIRS": "3"})
    assert not {"PYTHONPATH", "SPARK_CONF_DIR", "_JAVA_OPTIONS"} & set(made)
    assert made["PYSPARK_PYTHON"] == sys.executable
    assert made["AWS_ENDPOINT_URL"] == "http://localhost:1"
    assert made["AWS_REGION"] == "eu-central-1"
    assert (made["AWS_ACCESS_KEY_ID"], made["MINE"], made["EXPORTED"], made["THEIRS"]) == ("me", "1", "2", "3")


def test_a_python_of_the_clusters_own(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()
    settings = Settings(tmp_path)
    made = configuration.environment(cluster(export(PYSPARK_PYTHON=str(python))), settings, tmp_path, {})
    assert made["PYSPARK_PYTHON"] == str(python)
    made = configuration.environment(cluster(), settings, tmp_path, {"spark.pyspark.python": str(python)})
    assert made["PYSPARK_PYTHON"] == str(python)


def test_properties_as_java_reads_them(tmp_path: Path) -> None:
    path = configuration.write_properties({"b": "x\ny", "a": "c:\\d é"}, tmp_path / "new" / "p")
    assert path.read_text("utf-8") == "a=c:\\\\d é\nb=x\\ny\n"


def test_jars_and_their_archive_of_classes(tmp_path: Path) -> None:
    jars = tmp_path / "jars"
    jars.mkdir()
    for name in ("b.jar", "a.jar"):
        (jars / name).touch()
    settings = Settings(tmp_path, jars=jars, slots=3)
    store = Store(tmp_path / "data")
    store.close()
    base = configuration.base_settings(settings, store)
    assert base["spark.master"] == "local[3]"
    assert base["spark.driver.extraClassPath"] == f"{jars / 'a.jar'}{os.pathsep}{jars / 'b.jar'}"
    assert "SharedArchiveFile" not in base["spark.driver.extraJavaOptions"]
    (jars / "classes.jsa").touch()
    assert str(jars / "classes.jsa") in configuration.base_settings(settings, store)["spark.driver.extraJavaOptions"]


def test_the_same_flags_as_the_archive_was_made_with() -> None:
    from spark_jobs.tables import session

    assert session.JVM == configuration.JVM
