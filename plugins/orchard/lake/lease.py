"""Lease: who is at work on a lake; one run at a time, whatever starts it.

A lake in S3 says so itself, in ``lease.json``, which S3 writes only where nobody else has written since it was read. A
lease ends when it is given back, or by itself once it was not renewed for its term: by the clock of S3, which tells
both when it was written and what time it is. A lake in a folder is locked, until the process ends that locked it.

A lease keeps runs apart that mean well. It stops no writer: a run that was frozen for longer than the term goes on
beside whoever came after it, and Iceberg then refuses what does not fit together.
"""

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

_LOG = logging.getLogger("orchard")
TERM = 1200  # seconds that Airflow may be away, for an upgrade or between two tasks of a run
OF_A_PROCESS = 120  # which renews it all the time: another is let in soon after it was killed
# S3's words for "somebody was quicker": written since, being written just now, deleted.
_LOST = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404")


class AtWorkError(BlockingIOError):
    """Another run works on the lake."""


@dataclass(frozen=True)
class Held:
    """A lease as it stands in the lake.

    Attributes
    ----------
    renewed, ends : datetime
        When S3 wrote it, and when it ends if it is not renewed.
    """

    holder: str
    renewed: datetime
    ends: datetime

    def __str__(self) -> str:
        return (
            f"{self.holder}, last heard of at {self.renewed:%H:%M:%S} UTC; "
            f"if it is never heard of again, the lake is free at {self.ends:%H:%M:%S} UTC"
        )


@dataclass(frozen=True)
class Lease:
    """A run's lease of a lake in S3, whether or not it has it.

    Parameters
    ----------
    root : str
        ``s3://bucket[/prefix]``.
    holder : str
        The run, as people and other runs know it. Whoever is of the same name has the same lease.
    s3 : S3 client of boto3
    term : float
        Seconds after which it ends by itself.
    """

    root: str
    holder: str
    s3: Any
    term: float = TERM

    def take(self) -> Held | None:
        """Take the lease, or renew it; return who else has it, then nothing has changed."""
        while True:  # each time that S3 refuses, another run has got on
            held, etag = self._read()
            if held is not None and held.holder != self.holder:
                return held
            if self._write(etag, self.holder):
                return None

    def other(self) -> Held | None:
        """Return who else has it, and change nothing."""
        held, _ = self._read()
        return held if held is not None and held.holder != self.holder else None

    def renew(self) -> bool:
        """Renew it where it is this run's, even if it has ended; say whether it is."""
        return self._still_mine(self.holder)

    def give_back(self) -> bool:
        """Give it back where it is this run's; say whether it was."""
        return self._still_mine("")

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it again and again, beside what is done meanwhile."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self.term / 4):
                try:
                    if not self.renew():
                        _LOG.warning("The lake %s is not this run's any more: %s", self.root, self.other() or "broken")
                        return
                except Exception as error:  # S3 did not answer: there are two more times
                    _LOG.warning("The lease of %s could not be renewed: %s", self.root, error)

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _still_mine(self, next_holder: str) -> bool:
        while True:
            held, etag = self._read(ended_too=True)
            if held is None or held.holder != self.holder:
                return False
            if self._write(etag, next_holder):
                return True

    def _read(self, *, ended_too: bool = False) -> tuple[Held | None, str | None]:
        """Return what stands there, if it holds, and the etag of the file, if there is one."""
        try:
            answer = self.s3.get_object(**self._file)
        except self.s3.exceptions.NoSuchKey:
            return None, None
        except self.s3.exceptions.ClientError as error:
            self._demand_access(error)
            raise
        said = json.loads(answer["Body"].read())
        renewed = answer["LastModified"]
        ends = renewed + timedelta(seconds=said["term"])
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        holds = said["holder"] and (ended_too or now < ends)
        return Held(said["holder"], renewed, ends) if holds else None, answer["ETag"]

    def _write(self, etag: str | None, holder: str) -> bool:
        """Write it where nobody has since it was read; say whether that was so."""
        # With the time, or a lease that was renewed would have the etag of before.
        said = {"holder": holder, "term": self.term, "written": datetime.now(UTC).isoformat()}
        unchanged = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            self.s3.put_object(
                **self._file, Body=json.dumps(said).encode(), ContentType="application/json", **unchanged
            )
        except self.s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _LOST:
                return False
            self._demand_access(error)
            raise
        return True

    def _demand_access(self, error: Any) -> None:
        """Say who is to do what where S3 denies access, as it does with policies of a version without leases."""
        if error.response["Error"]["Code"] in ("AccessDenied", "403"):
            raise PermissionError(
                f"{self.root}/lease.json: access is denied, {error}. Whoever works on a lake writes there that it "
                "does: allow s3:GetObject and s3:PutObject on it, as `make deploy` does for Airflow."
            ) from error

    @property
    def _file(self) -> dict[str, str]:
        bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        return {"Bucket": bucket, "Key": f"{prefix}/lease.json".lstrip("/")}


@contextmanager
def alone(root: str, what: str) -> Iterator[None]:
    """Have a lake to oneself, for a process that works on it: a folder's is locked, one in S3 is leased.

    Parameters
    ----------
    root : str
        A folder (made when missing), or ``s3://bucket[/prefix]``.
    what : str
        What works there, for whoever comes meanwhile.

    Raises
    ------
    AtWorkError
        Another does.
    """
    if not root.startswith("s3://"):
        with _locked(Path(root.removeprefix("file://"))):
            yield
        return
    import boto3

    s3 = boto3.Session(region_name=os.environ.get("AWS_REGION") or None).client("s3")
    holder = f"{what} on {os.uname().nodename}, process {os.getpid()}, since {datetime.now(UTC).isoformat(' ')}"
    lease = Lease(root.rstrip("/"), holder, s3, OF_A_PROCESS)
    if other := lease.take():
        raise AtWorkError(f"Another run works on the lake {root}: {other}. Wait until it has ended.")
    try:
        with lease.renewed():
            yield
    finally:
        try:
            lease.give_back()
        except Exception as error:  # what was done is done
            _LOG.warning("The lease of %s could not be given back (%s): it ends by itself.", root, error)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AtWorkError(f"Another run works on the lake {folder}: wait until it has ended.") from None
        yield
