"""Machine: all that the demo runs on: the AWS of this machine and Airflow, started together."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.guarded import Guarded
from local.stack import Stack, free_port, why_not
from local.standalone import Client, Standalone

AIRFLOW, AWS, EMR = 8080, 4566, 5555
_HOST = "127.0.0.1"


class PortError(RuntimeError):
    """A port that was asked for is in use."""


class DiedError(RuntimeError):
    """A server ended by itself."""


@dataclass(frozen=True)
class Ports:
    """The ports of the demo, and those that it would have liked.

    Attributes
    ----------
    claims : tuple of socket
        Tell other demos that these ports are ours: Airflow listens on its own only after a while.
    """

    airflow: int
    aws: int
    emr: int
    missed: tuple[int, ...]
    claims: tuple[socket.socket, ...]


def choose(airflow: int | None = None, aws: int | None = None, emr: int | None = None) -> Ports:
    """Take the usual ports, or free ones where they are in use.

    Parameters
    ----------
    airflow, aws, emr : int, optional
        That one and no other.

    Raises
    ------
    PortError
    """
    missed: list[int] = []
    claims: list[socket.socket] = []
    asked = [port for port in (airflow, aws, emr) if port is not None]
    for port in asked:
        if not 1 <= port <= 65535:
            raise PortError(f"Port {port} was asked for: expected one from 1 to 65535.")
        if asked.count(port) > 1:
            raise PortError(f"Port {port} was asked for twice: Airflow, AWS and EMR need one each.")
        if why := why_not(_HOST, port):
            raise PortError(f"Port {port} cannot be taken ({why}): name another, or none to have a free one chosen.")

    def take(wanted: int | None, liked: int) -> int:
        if wanted is not None:
            return wanted
        claim = None if liked in asked else _claim(liked)
        if claim is None:
            missed.append(liked)
            return free_port()
        claims.append(claim)
        return liked

    return Ports(take(airflow, AIRFLOW), take(aws, AWS), take(emr, EMR), tuple(missed), tuple(claims))


def _claim(port: int) -> socket.socket | None:
    """Claim a port; None when somebody listens on it, or another demo has claimed it."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":  # elsewhere there are no names that end with their process
            claim.bind(f"\0orchard-demo-{port}")
    except OSError:
        claim.close()
        return None
    if why_not(_HOST, port):
        claim.close()
        return None
    return claim


@dataclass(frozen=True)
class Machine:
    """The running servers."""

    stack: Stack
    airflow: Standalone
    process: Guarded

    def client(self) -> Client:
        """Wait for Airflow, and log in."""
        client = self.airflow.wait(self.process)
        client.wait_for_dag("orchard_daily")
        return client

    def check(self) -> None:
        """Raise when Airflow or AWS has ended by itself.

        Raises
        ------
        DiedError
        """
        if self.process.poll() is not None:
            log, why = self.airflow.log_file, " ".join(self.airflow.news()[-1:])
            raise DiedError(f"Airflow has ended. {why}\nThe end of {log}:\n{log.read_text(errors='replace')[-3000:]}")
        if not self.stack.answers:
            raise DiedError(f"The AWS of this machine has ended; see {self.stack.data}/*.log")


@contextmanager
def running(folder: Path, ports: Ports) -> Iterator[Machine]:
    """Start everything; Airflow goes on starting when this returns. Stop it all in the end."""
    stack = Stack(folder / "aws", _HOST, ports.aws, ports.emr)
    airflow = Standalone(folder / "airflow", ports.airflow, stack.airflow_environment())
    process = airflow.start()
    try:
        with stack.running():
            try:
                yield Machine(stack, airflow, process)
            finally:
                airflow.stop(process, 0)  # its tasks talk to AWS until they are gone
    finally:
        airflow.stop(process, 0)
