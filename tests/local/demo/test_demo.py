"""The demo as a user runs it: a process, its output, and nothing left of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from local.stack import free_port

REPOSITORY = Path(__file__).parents[3]
SECONDS = 900  # on a machine that has much else to do


class Running:
    """A demo that was started, in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.output = folder.with_suffix(".txt")
        command = [sys.executable, "-m", "local.demo", "--data", str(folder), "--weights", "random:0", *arguments]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=output)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def until(self, happens: Callable[[], object]) -> None:
        end = time.monotonic() + SECONDS
        while not happens():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.1)

    def until_said(self, text: str) -> None:
        self.until(lambda: text in self.said)

    def signalled(self, number: signal.Signals) -> int:
        """Send a signal; return the exit status, which has to come soon."""
        self.process.send_signal(number)
        return self.process.wait(90)

    def left(self) -> list[str]:
        """List all processes that have to do with its folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                about = [*process.cmdline(), process.cwd(), *process.environ().values()]
                if process.pid != self.process.pid and any(str(self.folder) in text for text in about):
                    found.append(" ".join(process.cmdline()))
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all demos here, so that the extractor is exported once."""
    return tmp_path_factory.mktemp("demo") / "it"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def started(*arguments: str) -> Running:
            demo = Running(folder, "--port", str(free_port()), *arguments)
            stack.callback(demo.process.wait)
            stack.callback(demo.process.kill)
            return demo

        yield started


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.long
def test_the_whole_story(folder: Path) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else has it
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        demo = Running(folder, "--per-label", "4")
        try:
            demo.until_said("Day 1")
            second = subprocess.run(
                [sys.executable, "-m", "local.demo", "--data", str(folder)],
                cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert second.returncode == 2
            assert f"process {demo.process.pid}, Airflow at http://localhost:" in second.stderr
            demo.until_said("until Ctrl-C.")
            said = demo.said
            airflow = re.findall(r"Airflow stays up at http://localhost:(\d+) \(user admin, password \w+\)", said)
            ports = [int(port) for port in [*airflow, *re.findall(r"(?:AWS|EMR) at http://127.0.0.1:(\d+)", said)]]
            assert len(ports) == 3
            assert all(map(listens, ports))
            with urlopen(f"http://localhost:{ports[0]}/api/v2/monitor/health", timeout=60) as health:
                assert health.status == 200
            assert demo.signalled(signal.SIGINT) == 0
        finally:
            demo.process.kill()
            demo.process.wait()
    assert demo.left() == []
    assert not any(map(listens, ports))
    assert "Port 8080 is in use: a free one is taken instead." in said
    assert said.count("RANDOM weights") == 2  # at the start and in the end
    for words in (
        "Airflow is the user orchard-demo-airflow, steps have the role orchard-demo-emr-node",
        "Day 1: 19 photos of 5 kinds are new",
        "19 photos listed: 19 new, 0 changed, 0 deleted",
        "Day 2: 4 new photos (among them all of Plum, a label not seen before), 1 replaced by others, 1 deleted",
        "23 photos listed: 5 new, 1 changed, 1 deleted",
        "Day 3: nothing new: no cluster is rented",
        "nothing to do: no cluster is rented",
        "embeddings: 22 rows",
        "coordinates: 22 rows",
        "rejects: 1 row\n",
        "…/photos/Apple Red/broken_upload.jpg  truncated",
        "runs: 2 rows",
        f"The second day's report: {folder}/report.html",
    ):
        assert words in said, words
    clusters = re.findall(r"j-\w+  TERMINATED  1 primary and 1 core m5.xlarge, \d+ s, \$0\.\d+ on AWS", said)
    assert len(clusters) == 2
    assert re.search(r"apple_red_0004\.jpg: \w+.* \d+\.\d%", said)
    assert "<html" in (folder / "report.html").read_text()


@pytest.mark.long
def test_interrupted_while_a_step_runs(start: Callable[..., Running]) -> None:
    demo = start("--per-label", "4")
    demo.until_said("create_cluster")
    demo.until(lambda: any("spark" in process for process in demo.left()))
    assert demo.signalled(signal.SIGINT) == 130
    assert demo.left() == []
    assert "Everything is stopped." in demo.said


@pytest.mark.long
def test_told_to_end_while_it_starts(start: Callable[..., Running]) -> None:
    demo = start("--per-label", "4")
    demo.until(lambda: any("airflow scheduler" in process for process in demo.left()))
    assert demo.signalled(signal.SIGTERM) == 143
    assert demo.left() == []
    assert "What an earlier demo made there is removed." in demo.said  # the interrupted one


@pytest.mark.long
def test_killed(start: Callable[..., Running]) -> None:
    demo = start("--per-label", "4")
    demo.until(lambda: any("airflow scheduler" in process for process in demo.left()))
    demo.process.kill()
    demo.process.wait()
    until = time.monotonic() + 60
    while demo.left():
        assert time.monotonic() < until, demo.left()
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--photos", "missing"], r"missing: expected a folder of photos.*there is no such folder"),
        (["--photos", "docs"], r"docs: expected 12 photos or more|docs: expected photos"),
        (["--weights", "README.md"], r"README\.md: expected a file of Keras' weights, \.h5 or \.keras; it is neither"),
        (["--weights", "missing.h5"], r"missing\.h5: expected a file of weights; there is no such file"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_starts(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.demo", "--data", str(tmp_path / "demo"), *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert done.stdout == ""
    assert not (tmp_path / "demo").exists()


def test_a_port_that_was_asked_for_is_not_swapped(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "local.demo", "--data", str(tmp_path / "demo"), "--port", port],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert f"Port {port} cannot be taken (Address already in use): name another" in done.stderr


def test_environment_of_a_developer_is_left_out() -> None:
    """Nothing here may reach an AWS account, or an Airflow, that the user's environment names."""
    code = (
        "import os, sys; from local.demo import __main__ as demo; "
        "left = lambda *_: sys.exit(str([name for name in os.environ if name.startswith(('AWS', 'AIRFLOW'))])); "
        "demo.machine.choose = left; demo.main([])"
    )
    environment = os.environ | {"AWS_PROFILE": "production", "AIRFLOW_HOME": "/somewhere"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "[]"
