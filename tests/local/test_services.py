"""What dies is started again, and said; nothing is left of what is given up."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from local.services import GaveUpError, keep

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = """
import os, signal, sys
from pathlib import Path
from local.services import keep
mortal = ["bash", "-c", "echo up; sleep 300 & wait"]
keep({"scheduler": mortal, "triggerer": ["sleep", "400"]}, os.environ, Path(sys.argv[1]), pause=0.02)
"""


def running(root: int, *command: str) -> list[int]:
    """List the processes below one that run a command."""
    found = []
    for one in psutil.Process(root).children(recursive=True):
        with suppress(psutil.Error):  # it has gone
            found += [one.pid] if one.cmdline() == list(command) else []
    return found


def once_running(root: int, *command: str) -> int:
    """Wait until one process runs a command."""
    while not (found := running(root, *command)):
        time.sleep(0.02)
    (only,) = found
    return only


def test_one_that_is_killed_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    keeper = subprocess.Popen(
        [sys.executable, "-c", CODE, log], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert keeper.stdout
    with ExitStack() as stack:
        stack.enter_context(keeper)
        stack.callback(keeper.kill)
        left_over, other = once_running(keeper.pid, "sleep", "300"), once_running(keeper.pid, "sleep", "400")
        psutil.Process(left_over).parent().kill()
        assert keeper.stdout.readline() == "Airflow's scheduler was ended by signal 9, and is started again.\n"
        new = once_running(keeper.pid, "sleep", "300")
        assert new != left_over
        assert running(keeper.pid, "sleep", "400") == [other]
        keeper.send_signal(signal.SIGINT)
        assert keeper.wait(30) != 0
    assert log.read_text() == "up\nup\n"
    assert not any(map(psutil.pid_exists, (left_over, new, other)))


def test_one_that_dies_at_once_ends_them_all(tmp_path: Path) -> None:
    commands = {"api-server": ["bash", "-c", "exit 3"], "triggerer": ["sleep", "400"]}
    with pytest.raises(GaveUpError, match="Airflow's api-server ended with 3, for the 3rd time in a row: all of Airfl"):
        keep(commands, os.environ, tmp_path / "log", pause=0.02)
    assert not running(os.getpid(), "sleep", "400")
