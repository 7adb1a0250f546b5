"""Logs: where EMR puts what steps and bootstrap actions wrote, and the end of it."""

import gzip
import re
import time
from collections.abc import Mapping
from typing import Any

from orchard.aws import read_object

LINES = 40  # of a log that are shown


def step_logs(cluster: Mapping[str, Any], step_id: str) -> str | None:
    """Return the address under which EMR puts a step's logs."""
    root = _root(cluster)
    return root and f"{root}steps/{step_id}/"


def bootstrap_logs(cluster: Mapping[str, Any]) -> str | None:
    """Return the address of the logs of the bootstrap action that ended a cluster; None where none did.

    Node and action stand in EMR's message alone: "On the master instance (i-...), bootstrap action 1 returned a
    non-zero return code"; of several nodes, the first one named is as good as another.
    """
    reason, root = cluster["Status"].get("StateChangeReason", {}), _root(cluster)
    if reason.get("Code") != "BOOTSTRAP_FAILURE" or root is None:
        return None
    node = re.search(r"\bi-[0-9a-f]+", reason.get("Message", ""))
    action = re.search(r"bootstrap action (\d+)", reason.get("Message", ""))
    # What installs the applications, after the actions, fails under the same code, and logs elsewhere below the node.
    return f"{root}node/" + (f"{node[0]}/" if node else "") + (f"bootstrap-actions/{action[1]}/" if action else "")


def _root(cluster: Mapping[str, Any]) -> str | None:
    uri = cluster.get("LogUri")
    # EMR answers s3n:// for s3://.
    return f"s3://{uri.partition('://')[2].rstrip('/')}/{cluster['Id']}/" if uri else None


def last_lines(s3: Any, address: str, lines: int = LINES) -> str | None:
    """Read the end of a gzipped log, or None while it is not there."""
    try:
        data = read_object(s3, address)
    except FileNotFoundError:
        return None
    return "\n".join(gzip.decompress(data).decode("utf-8", "replace").splitlines()[-lines:])


def tell(log: Any, s3: Any, folder: str, patience: float) -> None:
    """Log the end of both streams of a step or bootstrap action as soon as EMR has brought them.

    Parameters
    ----------
    log : Logger
        The task's.
    patience : float
        Seconds to wait for them.
    """
    until = time.monotonic() + patience
    for name in ("stdout", "stderr"):  # the first holds all that Python said: spark-submit sends both streams there
        address = f"{folder}{name}.gz"
        while (tail := last_lines(s3, address)) is None and time.monotonic() < until:
            time.sleep(5)
        if tail is None:
            log.error("EMR has not brought the logs yet: they will be under %s", folder)
            return
        if tail:
            log.error("The last lines of %s:\n%s", address, tail)
