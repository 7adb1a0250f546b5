"""Guarded: a server that ends with all that it started, also when we are killed.

For servers that stay up beside us; a program that is waited for at once needs no more than `subprocess.run`.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.emr import watchdog


class Guarded:
    """A running command; its log is a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: int) -> None:
        self._process = process
        self._pipe: int | None = pipe

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        stdout: Path | None = None,
        patience: float = 0.0,
    ) -> "Guarded":
        """Start a command in a folder.

        Parameters
        ----------
        log, stdout : Path
            What it says is appended to them; stdout by default to the log, too.
        patience : float
            Seconds that it has to save its state when we are killed; 0: it is killed at once.
        """
        theirs, ours = os.pipe()
        try:
            with log.open("ab") as err, (stdout or log).open("ab") as out:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", watchdog.__file__, f"{theirs}:{patience or ''}", *command],
                    cwd=folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(theirs,),
                    # Of its own: Ctrl-C at the terminal is for us, who then stop it in order.
                    start_new_session=True,
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """Of the watchdog, whose only child is the command."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end; return the exit status.

        Raises
        ------
        subprocess.TimeoutExpired
        """
        return self._process.wait(seconds)

    def stop(self, seconds: float, how: bytes = b"T") -> None:
        """Ask it to end (``T``: SIGTERM, ``I``: SIGINT), and kill what is left of it after some seconds."""
        if seconds > 0:
            self.send(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill it and all its descendants, and wait until they are gone."""
        self.send(b"K")
        self._process.wait()
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def send(self, letter: bytes) -> None:
        """Send a signal by the watchdog's letter for it: ``T`` or ``I`` to the command, ``K`` to all of it."""
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended
                os.write(self._pipe, letter)
