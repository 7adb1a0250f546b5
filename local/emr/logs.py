"""The logs of steps and bootstrap actions: on disk while they run, then gzipped under LogUri."""

import re
import time
from pathlib import Path

from local.emr.access import Access
from local.emr.iam import IamError
from local.emr.s3 import S3Error
from local.emr.state import Cluster

NAMES = ("controller", "stdout", "stderr", "syslog")
# Where a traceback ends: Python's, or Java's within it.
_ERROR = re.compile(r"(: |Caused by: )?([\w.$]+\.)?\w*(Error|Exception|Exit|Interrupt)(:|$)")
# What fails here and not on EMR, by what the program says then.
_HINTS = (
    (
        re.compile(r"No FileSystem for scheme \"?s3|fs\.s3a?\.\w+ not found"),
        "Spark itself reads no s3:// here, as there is no EMRFS: read with what the job brings (Iceberg's S3FileIO, "
        "boto3), or put hadoop-aws and its SDK into --jars-dir and name s3a://.",
    ),
    (
        re.compile(r"\bsudo: "),
        "It called sudo, and here it runs as you and not as root: let the script leave out what it installs into the "
        "system when LOCAL_EMR is set.",
    ),
)
_NO_LOG_LINE = re.compile(r"(?!\s|\d{2,4}[-/]\d|\tat |WARNING)")


class Logs:
    """One step's, or bootstrap action's, log files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (folder / name).touch()

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def note(self, line: str) -> None:
        """Write a line to the controller's log."""
        with self["controller"].open("a") as file:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            file.write(f"{stamp}.{int(time.time() * 1000) % 1000:03d}Z INFO {line}\n")

    def hint(self) -> str:
        """Say why it failed here, where that is what this EMR lacks; put after a sentence."""
        text = "\n".join(line for name in ("stdout", "stderr") for line in self._tail(name))
        return "".join(f". {hint}" for sign, hint in _HINTS if sign.search(text))

    def last_words(self) -> str:
        """Find what the program said last, for FailureDetails: the end of a traceback, mostly.

        It may stand in either file: spark-submit sends both streams of Python to its own standard output.
        """
        lines = [line for name in ("stdout", "stderr") for line in self._tail(name)]
        for likely in (_ERROR, _NO_LOG_LINE, re.compile("")):
            if found := [line for line in lines if likely.match(line)]:
                return found[-1].removeprefix(": ").removeprefix("Caused by: ")[:1000]
        return ""

    def _tail(self, name: str) -> list[str]:
        with self[name].open("rb") as file:
            file.seek(max(0, self[name].stat().st_size - 8192))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]

    def upload(self, access: Access, cluster: Cluster, uri: str) -> str | None:
        """Let the node put them where EMR does; return what went wrong, if so: a log that is lost fails no step."""
        try:
            s3 = access.node(cluster).s3
            for name in NAMES:
                s3.put_gzipped(self[name], f"{uri}/{name}.gz")
        except (IamError, S3Error) as error:
            self.note(f"WARN {error}")
            return str(error)
        return None
