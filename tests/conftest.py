"""AWS on this machine, for the tests that ask for it: a general emulator, started once a session."""

import json
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import hypothesis
import pytest

import spark_jobs.tables.shell  # noqa: F401  # first: see there
from tests.artefacts import MAIN_PYTHON, REAL_WEIGHTS, SHARED, exported, small

if TYPE_CHECKING:
    from tests.local.emr.servers import LocalEmr

hypothesis.settings.register_profile("orchard", deadline=None)  # no test fails for a machine that is busy
hypothesis.settings.load_profile("orchard")

REGION = "eu-west-1"
FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Give a list for lines that the end of the test run shows: what a test measured on its way."""
    return pytestconfig.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the figures."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the figures of one of several processes to the first."""
    if output := getattr(session.config, "workeroutput", None):
        output["figures"] = session.config.stash.get(FIGURES, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take the figures of another process; one that crashed has none."""
    node.config.stash.setdefault(FIGURES, []).extend(getattr(node, "workeroutput", {}).get("figures", []))


# Tests that share what takes long to start, by how their path begins; the longest of them come first.
SHARES = {
    "tests/e2e/": "an Airflow",
    "tests/spark_jobs/test_": "a Spark",
    "tests/notebooks/": "a Spark",
    "tests/orchard/report/": "a Spark",
    "tests/local/demo/": "a demo",
}


def _shared(nodeid: str) -> str | None:
    return next((shared for begins, shared in SHARES.items() if nodeid.startswith(begins)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin."""
    first = {shared: number for number, shared in enumerate(dict.fromkeys(SHARES.values()))}
    items.sort(key=lambda item: first.get(_shared(item.nodeid) or "", len(first)))  # stable: otherwise as collected


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out to processes by what they share, else by their file."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _shared(nodeid) or nodeid.partition("::")[0]

    return Together(config, log)


@pytest.fixture(scope="session")
def small_artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an extractor of 48 numbers: for tests of what becomes of embeddings, whatever they are."""
    return small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def random_artefact() -> Path:
    """mobilenet_v2 in f32 with random weights: there without any download, and no good for recognition."""
    return exported("random", "mobilenet_v2", "--weights", "random:0")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of real weights and photos beside the repository."""
    if not REAL_WEIGHTS.is_file():
        pytest.skip(f"needs real weights and photos: no {REAL_WEIGHTS}")
    return SHARED


@pytest.fixture(scope="session")
def real_artefact(shared: Path) -> Path:
    """mobilenet_v2 in f32 with Keras' own weights."""
    return exported("real", "mobilenet_v2", "--weights", REAL_WEIGHTS)


@dataclass(frozen=True)
class Aws:
    """An AWS that answers at `url`.

    Attributes
    ----------
    environment : Mapping of str to str
        What makes any client of AWS use it.
    """

    url: str
    environment: Mapping[str, str]
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Open a client, once a session, that may do everything and does not depend on the environment."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._clients[service]


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Start ministack, empty, with its IAM enforced (the key `test` is root), and nothing kept."""
    folder = tmp_path_factory.mktemp("aws")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "IOT_MTLS_ENABLED": "0",  # it would listen on a fixed port
        "SFTP_ENABLED": "0",
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [MAIN_PYTHON, "-m", "ministack"],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(server, f"{url}/_ministack/health", folder / "log")
        yield Aws(
            url,
            MappingProxyType(
                {
                    "AWS_ENDPOINT_URL": url,
                    "AWS_ACCESS_KEY_ID": "test",
                    "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_REGION": REGION,
                    "AWS_DEFAULT_REGION": REGION,
                }
            ),
        )
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < until:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"ministack does not answer at {url}:\n{log.read_text(errors='replace')[-3000:]}")


# A shell in which somebody has worked with other Sparks: ours does not heed it.
SHELL = {
    "SPARK_HOME": "/nowhere/spark-2.4",
    "SPARK_CONF_DIR": "/nowhere/conf",
    "SPARK_LOCAL_IP": "192.0.2.1",
    "SPARK_REMOTE": "sc://192.0.2.1",
    "PYSPARK_SUBMIT_ARGS": "--master yarn --jars /nowhere.jar pyspark-shell",
    "PYSPARK_PYTHON": "/nowhere/python",
    "PYSPARK_DRIVER_PYTHON": "jupyter",
    "HADOOP_CONF_DIR": "/nowhere/hadoop",
    "JAVA_HOME": "/nowhere/java",
    "JAVA_TOOL_OPTIONS": "-XX:NoSuchOption",
    "_JAVA_OPTIONS": "-XX:NoSuchOption",
    "JDK_JAVA_OPTIONS": "-XX:NoSuchOption",
    "PYTHONSTARTUP": "/nowhere/start.py",
    "ARROW_PRE_0_15_IPC_FORMAT": "1",
}


@pytest.fixture(scope="session")
def spark(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start the one Spark of this process: a JVM keeps the AWS of its start, so it starts with the emulator's."""
    from tests.lakes import start_spark  # the environments of other versions may have no Spark

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in aws_server.environment.items():
            patch.setenv(name, value)
        for name, value in SHELL.items():
            patch.setenv(name, value)
        lake = start_spark(tmp_path_factory.mktemp("spark"))
    yield
    lake.spark.stop()  # it was never read: its catalog is not there to be closed


@dataclass(frozen=True)
class Called:
    """How a command of spark_jobs ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


Call = Callable[..., Called]
RunLocal = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def call(spark: None, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command of spark_jobs by its name, with its arguments, in this process: it joins the Spark that is up."""

    def call(command: str, *arguments: str | Path) -> Called:
        capsys.readouterr()
        status = import_module(f"spark_jobs.{command}").main([str(one) for one in arguments])
        return Called(status, *capsys.readouterr())

    return call


@pytest.fixture
def run_local(call: Call) -> RunLocal:
    """Bring a lake up to date; the answer is what ``run_local --json`` prints."""

    def run_local(*arguments: str | Path) -> list[dict[str, Any]]:
        done = call("run_local", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        runs: list[dict[str, Any]] = json.loads(done.stdout)
        return runs

    return run_local


@pytest.fixture
def aws(aws_server: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Aws:
    """Make every client of AWS in this test use the emulator; nothing is in it but what other tests left."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):  # a developer's own
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return aws_server


@pytest.fixture
def bucket(aws: Aws) -> str:
    """Make a bucket of a name of its own."""
    name = f"orchard-{uuid.uuid4().hex[:12]}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture(scope="session")
def local_emr(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator["LocalEmr"]:
    """Start a local EMR: idle time-outs pass 60 times as fast, each logs where the test says."""
    from tests.local.emr.servers import LocalEmr

    server = LocalEmr(aws_server, tmp_path_factory.mktemp("emr") / "data", "--idle-speed", "60")
    yield server
    assert server.stop() == 0
