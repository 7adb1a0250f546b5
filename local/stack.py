"""Stack: the AWS of one machine, as two servers: ministack for S3, Glue and the rest, and the EMR that runs steps.

They share a folder, in which everything is kept over a restart, and end together. Policies are enforced: see
`local.principals` for who is who.
"""

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

from local.guarded import Guarded
from local.principals import Principals

REGION = "eu-west-1"
BUCKET = DATABASE = "orchard"
_START_SECONDS = 120
_STOP_SECONDS = 30  # ministack writes what it has to keep


class StackError(RuntimeError):
    """A server did not start, or ended by itself."""


@dataclass(frozen=True)
class Stack:
    """Where the two servers are.

    Attributes
    ----------
    data : Path
        Folder of their data and logs, made when missing.
    credentials : Path, optional
        File for Airflow's key; default: in the folder.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 4566
    emr_port: int = 5555
    credentials: Path | None = None

    @property
    def url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def emr_url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.emr_port}"

    @property
    def principals(self) -> Principals:
        """Those who have policies here."""
        return Principals(self.url, REGION, self.credentials or self.data / "credentials")

    def environment(self) -> dict[str, str]:
        """Return the variables that make any client of AWS use this one, as the account itself."""
        return self._place() | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def airflow_environment(self) -> dict[str, str]:
        """Return the variables that make Airflow use this one, with its own key once there is one."""
        return self._place() | {"AWS_SHARED_CREDENTIALS_FILE": str(self.principals.credentials)}

    def _place(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_EMR": self.emr_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def answers(self) -> bool:
        """Whether both servers listen; one that is busy does."""
        try:
            for port in (self.port, self.emr_port):
                socket.create_connection((_reachable(self.host), port), timeout=30).close()
        except OSError:
            return False
        return True

    @contextmanager
    def running(self, *emr_options: str) -> Iterator["Stack"]:
        """Start both servers; stop them cleanly, in the end or when one of them did not start.

        Raises
        ------
        StackError
            A port is in use, or a server ended while it started; with the end of its log.
        """
        for port in (self.port, self.emr_port):
            if why := why_not(self.host, port):
                raise StackError(f"Port {port} of {self.host} cannot be taken ({why}): name another.")
        self.data.mkdir(parents=True, exist_ok=True)
        servers: list[Guarded] = []
        try:
            servers.append(self._ministack())
            _wait(servers[0], f"{self.url}/_ministack/health", self.data / "ministack.log")
            self.principals.make(BUCKET, DATABASE)
            servers.append(self.start_emr(emr_options))
            _wait(servers[1], f"{self.emr_url}/_health", self.data / "emr.log")
            yield self
        finally:
            for server in reversed(servers):  # steps write to S3 until they are stopped
                server.stop(_STOP_SECONDS)

    def _ministack(self) -> Guarded:
        state = self.data / "ministack"
        state.mkdir(exist_ok=True)
        settings = {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": self.host,
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "s3"),
            "IOT_MTLS_ENABLED": "0",  # these two would listen on fixed ports
            "SFTP_ENABLED": "0",
            "TMPDIR": str(state),
        }
        command, log = [sys.executable, "-m", "ministack"], self.data / "ministack.log"
        return Guarded.start(command, state, _clean() | settings, log, patience=_STOP_SECONDS)

    def start_emr(self, options: Sequence[str] = ()) -> Guarded:
        """Start the EMR alone, on the data that it left."""
        command = [sys.executable, "-m", "local.emr", "--host", self.host, "--port", str(self.emr_port)]
        command += ["--data", str(self.data / "emr"), "--s3-endpoint", self.url, "--iam-endpoint", self.url, *options]
        root = Path(__file__).parent.parent
        return Guarded.start(command, root, _clean() | self.environment(), self.data / "emr.log", patience=5)


def free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _reachable(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host


def _clean() -> dict[str, str]:
    """Copy the environment without a developer's own AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def why_not(host: str, port: int) -> str | None:
    """Say why a port cannot be taken, or None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror
    return None


def _wait(server: Guarded, url: str, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise StackError(f"No answer from {url}. The end of {log}:\n{log.read_text(errors='replace')[-3000:]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run both servers until a signal."""
    parser = argparse.ArgumentParser(
        prog="python -m local", description="AWS on this machine: S3, Glue and more, and an EMR that runs its steps."
    )
    parser.add_argument("--data", type=Path, default=Path(".orchard"), help="where all is kept (default: .orchard)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=4566, help="of S3, Glue and the rest (default: 4566)")
    parser.add_argument("--emr-port", type=int, default=5555, help="of EMR (default: 5555)")
    parser.add_argument("--credentials", type=Path, help="file for Airflow's key (default: credentials, in --data)")
    options, emr_options = parser.parse_known_args(argv)
    credentials = options.credentials and options.credentials.absolute()
    stack = Stack(options.data.absolute(), options.host, options.port, options.emr_port, credentials)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with stack.running(*emr_options):
            print(f"AWS at {stack.url}, EMR at {stack.emr_url}, data in {stack.data}; Ctrl-C ends both.", flush=True)
            signal.pause()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
