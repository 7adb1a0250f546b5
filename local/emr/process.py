"""A command that runs under a watchdog, so that it never outlives the server."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.emr import watchdog


class Process:
    """A running command; used as a context, it is dead at the context's end."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int) -> None:
        self._process = process
        self._pipe: int | None = pipe

    @classmethod
    async def start(
        cls, command: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: Path, stderr: Path
    ) -> "Process":
        """Start a command in a folder, with its output appended to files."""
        theirs, ours = os.pipe()
        try:
            with stdout.open("ab") as out, stderr.open("ab") as err:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", watchdog.__file__, str(theirs), *command),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=folder,
                    env=environment,
                    pass_fds=(theirs,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    def terminate(self) -> None:
        """Ask the command to end."""
        self._send(b"T")

    def kill(self) -> None:
        """Kill the command and all its descendants."""
        self._send(b"K")

    def _send(self, letter: bytes) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended
                os.write(self._pipe, letter)

    async def wait(self) -> int:
        """Wait for the command's end; return its exit status."""
        return await self._process.wait()

    async def __aenter__(self) -> "Process":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Kill it, unless it has ended."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        await self._process.wait()
