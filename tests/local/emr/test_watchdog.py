"""A command's processes end with it, with its server, and when asked."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.emr import watchdog
from tests.local.emr.servers import until

# A child, a grandchild in a session of its own, and a daemon whose parent is gone.
FAMILY = "sleep 300 & setsid sleep 300 & (setsid sleep 300 &) ; echo ready; wait"


class Watched:
    def __init__(self, script: str, folder: Path) -> None:
        theirs, self.pipe = os.pipe()
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, str(theirs), "bash", "-c", script],
                pass_fds=(theirs,),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(theirs)

    def family(self) -> list[int]:
        return watchdog.descendants(self.process.pid)

    def until_ready(self) -> None:
        until(lambda: "ready" in self.output.read_text())


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path("/proc", str(pid)).exists() and not _zombie(pid)]


def _zombie(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("how", ["pipe closes", "letter K", "SIGTERM", "SIGHUP"])
def test_all_descendants_are_killed(how: str, tmp_path: Path) -> None:
    watched = Watched(FAMILY, tmp_path)
    watched.until_ready()
    until(lambda: len(watched.family()) == 4)
    family = watched.family()
    if how == "pipe closes":
        os.close(watched.pipe)
    elif how == "letter K":
        os.write(watched.pipe, b"K")
    else:
        watched.process.send_signal(getattr(signal, how))
    assert watched.process.wait(20) == 128 + signal.SIGKILL
    assert alive(family) == []
    if how != "pipe closes":
        os.close(watched.pipe)


def test_a_command_asked_to_end(tmp_path: Path) -> None:
    watched = Watched("trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done", tmp_path)
    watched.until_ready()
    os.write(watched.pipe, b"T")
    assert watched.process.wait(20) == 7
    assert watched.output.read_text() == "ready\nasked\n"
    os.close(watched.pipe)


def test_what_a_command_leaves_ends_with_it(tmp_path: Path) -> None:
    watched = Watched("setsid sleep 300 & disown; echo $!; exit 5", tmp_path)
    assert watched.process.wait(20) == 5
    assert alive([int(watched.output.read_text())]) == []
    os.close(watched.pipe)


def test_the_command_dies_with_a_watchdog_that_is_killed(tmp_path: Path) -> None:
    watched = Watched("echo ready; while :; do sleep 0.05; done", tmp_path)
    watched.until_ready()
    (child, *_) = watched.family()
    watched.process.kill()
    watched.process.wait(20)
    until(lambda: alive([child]) == [], 10)
    os.close(watched.pipe)


def test_exit_statuses(tmp_path: Path) -> None:
    for script, status in (("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)):
        watched = Watched(script, tmp_path)
        assert watched.process.wait(20) == status
        os.close(watched.pipe)
