"""Screen: what the demo says, with the time since its start, and one line that changes where there is a terminal."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Screen:
    """The terminal, or a file."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.phases: dict[str, float] = {}

    @property
    def clock(self) -> str:
        """Minutes and seconds since the start."""
        return minutes(time.monotonic() - self._started)

    def say(self, text: str = "") -> None:
        """Print lines that stay."""
        self._clear()
        print(text, flush=True)

    def head(self, text: str) -> None:
        """Begin something new."""
        self.say(f"\n{self.clock:>5}  {text}")

    def show(self, text: str) -> None:
        """Change the line that shows what goes on; nothing where there is no terminal."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._clear()
            print(text[:width], end="", flush=True)

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure how long something takes."""
        started = time.monotonic()
        yield
        self.phases[name] = time.monotonic() - started


def minutes(seconds: float) -> str:
    """Write seconds as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
