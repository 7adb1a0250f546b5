"""Shell: what a user's environment says of another Spark, Java or Hadoop, and that Spark on one machine does not heed.

Not for a step on a cluster: there it is the cluster's environment that counts. Importing this module first keeps
another Spark's ``pyspark`` from being imported by way of PYTHONPATH.
"""

import os
import sys
import sysconfig
from collections.abc import MutableMapping
from pathlib import Path

_BEGIN = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "JAVA_", "_JAVA_", "JDK_JAVA_")
_ARE = ("CLASSPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "ARROW_PRE_0_15_IPC_FORMAT")


def clean(environment: MutableMapping[str, str]) -> None:
    """Take away all that would make the start of Spark another one; of PYTHONPATH only other Sparks."""
    for name in [name for name in environment if name.startswith(_BEGIN) or name in _ARE]:
        del environment[name]
    if "PYTHONPATH" in environment:
        paths = environment["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path and not _of_a_spark(path))


def _of_a_spark(path: str) -> bool:
    return Path(path, "pyspark").is_dir() or Path(path).match("py4j-*.zip") or Path(path).match("pyspark*.zip")


def _own_pyspark() -> None:
    """Let this Python's own pyspark be imported, where it has one and none is imported yet."""
    own = sysconfig.get_path("purelib")
    if "pyspark" not in sys.modules and _of_a_spark(own):
        others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:] = [path for path in sys.path if path not in others or path == own or not _of_a_spark(path)]


_own_pyspark()
