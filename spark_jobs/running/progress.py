"""Progress of a step: a bar where there is a terminal, else a line in the log now and then."""

import logging
import shutil
import sys
import threading
import time
from types import TracebackType

from pyspark import Accumulator
from tqdm import tqdm

_EVERY = 10.0  # seconds between two lines of a log


class Progress:
    """Watch accumulators while a job runs; they move when a task ends.

    Parameters
    ----------
    total : int
        Photos to be done.
    done, rejected : Accumulator
        Photos done so far, and how many of them were rejected.
    """

    def __init__(self, total: int, done: "Accumulator[int]", rejected: "Accumulator[int]", log: logging.Logger) -> None:
        self.seconds = 0.0
        self._total, self._done, self._rejected, self._log = total, done, rejected, log
        self._over = threading.Event()
        width = min(shutil.get_terminal_size().columns, 100)
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, unit=" photos", disable=not terminal, smoothing=0, leave=False, ncols=width)
        self._watcher = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> "Progress":
        self._started = time.monotonic()
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._watcher.join()
        self._show()
        self._bar.close()
        self.seconds = time.monotonic() - self._started
        if self._total:
            self._log.info(self.line())

    def line(self) -> str:
        """Photos done of all, photos a second, time left."""
        done, elapsed = self._done.value, time.monotonic() - self._started
        rate = done / elapsed
        left = f"{(self._total - done) / rate:.0f} s left" if rate else "no photo done yet"
        rejected = f", {self._rejected.value} rejected" if self._rejected.value else ""
        return f"{done:,} of {self._total:,} photos{rejected}, {rate:.0f} photos a second, {left}"

    def _watch(self) -> None:
        last = self._started
        while not self._over.wait(0.5):
            self._show()
            if self._bar.disable and time.monotonic() - last >= _EVERY:
                last = time.monotonic()
                self._log.info(self.line())

    def _show(self) -> None:
        self._bar.update(min(self._done.value, self._total) - self._bar.n)
