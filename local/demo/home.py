"""Home: the demo's folder, which one demo at a time has, and the processes that belong to it."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# In the environment of all that a demo starts, so that a killed demo's processes are known from any others.
MARK = "ORCHARD_DEMO"
_STORY = ("aws", "airflow", "report.html")


class HomeError(RuntimeError):
    """The folder is another demo's, or not a demo's at all."""


@dataclass(frozen=True)
class Home:
    """A demo's folder.

    Attributes
    ----------
    folder : Path
        Sample photos and the extractor stay in it from one demo to the next; everything else is made anew.
    """

    folder: Path

    @property
    def _lock(self) -> Path:
        return self.folder / "demo.lock"

    @contextmanager
    def taken(self, address: str) -> Iterator[None]:
        """Keep the folder to ourselves.

        Parameters
        ----------
        address : str
            Where people find this demo; a second one tells.

        Raises
        ------
        HomeError
            A demo runs there, or the folder holds something else.
        """
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self._lock.exists():
            raise HomeError(f"{self.folder} holds something that is no demo's: name a new folder, DATA=folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HomeError(self._who()) from None
            lock.truncate(0)
            json.dump({"pid": os.getpid(), "address": address}, lock)
            lock.flush()
            os.environ[MARK] = str(self.folder)
            yield

    def _who(self) -> str:
        other = {"pid": "?", "address": "?"}
        with suppress(ValueError):  # it is just being written
            other |= json.loads(self._lock.read_text())
        return (
            f"A demo runs in {self.folder} already: process {other['pid']}, Airflow at {other['address']}. "
            "End it with Ctrl-C there, or run this one beside it: make demo DATA=another/folder."
        )

    def processes(self) -> list[psutil.Process]:
        """Find the processes that a demo of this folder started, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and process.environ().get(MARK) == str(self.folder):
                    found.append(process)
        return found

    def kill_processes(self, patience: float = 0.0) -> int:
        """Kill them, those after a time in which they may end by themselves; return how many had to be."""
        until, killed = time.monotonic() + patience, set()
        while left := self.processes():
            if time.monotonic() >= until:
                for process in left:
                    with suppress(psutil.Error):
                        process.kill()
                        killed.add(process)
            time.sleep(0.05)
        return len(killed)

    def forget(self) -> bool:
        """Remove what an earlier demo did; return whether there was any."""
        there = [path for path in (self.folder / name for name in _STORY) if path.exists()]
        for path in there:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return bool(there)
