"""Nameless: runs a step's Python script where the user id of this server has no name: ``docker run --user``, OpenShift.

Hadoop asks the system who the user is, fails, and so does spark-submit before the script begins. Here the script's
Python is first: it starts Java, tells Hadoop a name, and becomes the script. It runs with the step's Python, and knows
nothing of this server. Jars that have a main class cannot be run so, nor a spark-submit within a script.
"""

import os
import pwd
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def name() -> str | None:
    """Return what to call a user id that has no name; None where it has one."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return f"uid-{os.getuid()}"
    return None


def main(argv: Sequence[str]) -> None:
    """Become a script, with a Spark that knows its user.

    Parameters
    ----------
    argv : sequence of str
        Files as in ``--files`` (or an empty text), the script, and its own arguments.
    """
    from pyspark import SparkContext

    SparkContext._ensure_initialized()
    jvm: Any = SparkContext._jvm
    users = jvm.org.apache.hadoop.security.UserGroupInformation
    users.setLoginUser(users.createRemoteUser(name() or pwd.getpwuid(os.getuid()).pw_name))
    files, script, *_ = argv
    if files:  # of spark-submit, the option would have it look at them before it knows its user
        jvm.java.lang.System.setProperty("spark.files", files)
    sys.argv = list(argv[1:])
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
