"""The real wheelhouse, made once and kept; install.sh as a node would run it."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap import wheelhouse as wheelhouses
from tests.artefacts import REPOSITORY
from tests.conftest import Aws

MADE = REPOSITORY / ".orchard" / "wheelhouse"
INSTALL = REPOSITORY / "bootstrap" / "install.sh"
BIN = Path(sys.executable).parent  # where aws is

Install = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def wheelhouse() -> Path:
    """Make what `make wheelhouse` makes, where it makes it; needs the package index the first time."""
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / ".lock").open("w") as lock:  # another process of the tests may be at it
        fcntl.flock(lock, fcntl.LOCK_EX)
        return wheelhouses.build(MADE)


@pytest.fixture
def prefix(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "opt" / "orchard"
    shutil.rmtree(tmp_path / "opt", ignore_errors=True)  # up to a GB


@pytest.fixture
def install(aws: Aws, prefix: Path) -> Install:
    """Run install.sh with the real aws of this environment against the emulator, into a folder of the test's own."""
    python = str(Path(sys.executable).resolve())  # outside of this environment, as the release's own
    if sys.version_info[:2] != (3, 11):
        pytest.skip(f"needs a Python 3.11, as nodes have; this is {sys.version}")

    def run(
        address: str, *before: str, path: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        given = {
            **aws.environment,
            "PATH": os.pathsep.join([*([str(path)] if path else []), str(BIN), os.defpath]),
            "HOME": str(prefix.parent.parent),
            "ORCHARD_PREFIX": str(prefix),
            "ORCHARD_PYTHON": python,
            "AWS_MAX_ATTEMPTS": "1",
            **environment,
        }
        command = [*before, "bash", str(INSTALL), address]
        return subprocess.run(command, env=given, capture_output=True, text=True, timeout=300, check=False)

    return run
