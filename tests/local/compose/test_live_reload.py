"""What docker-compose mounts as Airflow's config/: not a package, so run as it is there, from the file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local import compose

CONFIG = Path(compose.__file__).parent / "config"


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "waited for 30 s"
        time.sleep(0.05)


def test_a_fork_imports_orchard_anew_and_its_parent_keeps_what_it_has(tmp_path: Path) -> None:
    code = """
import os, pathlib, sys, orchard.part, airflow_local_settings
pathlib.Path(sys.argv[1], "orchard", "part.py").write_text("VALUE = 'new and longer'")
if (child := os.fork()) == 0:
    import json, orchard.part
    print(orchard.part.VALUE, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(orchard.part.VALUE, orchard.part is sys.modules["orchard.part"])
"""
    (tmp_path / "orchard").mkdir()
    (tmp_path / "orchard" / "__init__.py").touch()
    (tmp_path / "orchard" / "part.py").write_text("VALUE = 'old'")
    path = os.pathsep.join([str(tmp_path), str(CONFIG)])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["new and longer", "old True"]


def reloading(folder: Path, code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, CONFIG / "reload.py", folder, sys.executable, "-c", code, folder])


def test_the_command_runs_again_when_a_file_changes(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    code = f"open({str(starts)!r}, 'a').write('x'); import time; time.sleep(60)"
    watched = tmp_path / "plugins"
    watched.mkdir()
    process = reloading(watched, code)
    try:
        wait_until(starts.exists)
        time.sleep(1.5)  # until it watches
        (watched / "notes.txt").touch()
        (watched / "plugin.py").touch()
        wait_until(lambda: starts.read_text() == "xx")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert starts.read_text() == "xx"


def test_it_ends_as_the_command_does(tmp_path: Path) -> None:
    assert reloading(tmp_path, "raise SystemExit(3)").wait(30) == 3
