"""Process: the Java process in which Spark works on one machine: whose it is, and how Ctrl-C ends it.

Not for a step on a cluster: there, user and signals are the cluster's affair.
"""

import logging
import os
import pwd
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession


def name_user(conf: SparkConf) -> None:
    """Start Java and tell it who we are, where our user id has no name: Hadoop's own way to find out would fail.

    Such an id is that of ``docker run --user`` and OpenShift.
    """
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        name, options = f"uid-{os.getuid()}", "spark.driver.extraJavaOptions"
        conf.set(options, f"{conf.get(options)} -Duser.name={name} -Duser.home='{tempfile.gettempdir()}'")
        SparkContext._ensure_initialized(conf=conf)
        jvm: Any = SparkContext._jvm
        users = jvm.org.apache.hadoop.security.UserGroupInformation
        users.setLoginUser(users.createRemoteUser(name))


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end Spark at once, and be a KeyboardInterrupt and nothing else; for work in a Spark that is up.

    Spark's own handler asks Java to cancel jobs, in the midst of the call that waits for them: it fails.
    """
    java = getattr(SparkContext._gateway, "proc", None)
    if java is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = False

    def end(number: int, frame: object) -> None:
        nonlocal interrupted
        interrupted = True
        # Whoever waits for Java now would say that it is gone.
        logging.disable()
        if context := SparkContext._active_spark_context:
            context._accumulatorServer.handle_error = lambda *_: None  # type: ignore[method-assign]
        java.kill()  # asked to end, it would say what it could not finish
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    except BaseException as error:
        if not interrupted:
            raise
        java.wait()
        _forget()
        # What else is raised on the way, by clean-ups that want Java, has this one reason.
        raise KeyboardInterrupt from (error if isinstance(error, KeyboardInterrupt) else None)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if interrupted else before)
        logging.disable(logging.NOTSET)


def _forget() -> None:
    """Let the next session start another Java."""
    SparkContext._active_spark_context = SparkContext._gateway = SparkContext._jvm = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None
