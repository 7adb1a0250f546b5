"""Services: Airflow's own four in one process tree, kept up: one that dies is started again, and it is said.

`airflow standalone` starts the same four, and leaves one that died dead, in silence.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from local.guarded import Guarded

NAMES = ("api-server", "scheduler", "dag-processor", "triggerer")
SOON = 30.0  # seconds within which another death of the same service is no chance any more
MOST = 3  # deaths in such a row that end it all
_PATIENCE = 20.0  # seconds that they have to end in order


class GaveUpError(RuntimeError):
    """A service dies again and again."""


class Kept:
    """One service, up as long as it can be.

    Parameters
    ----------
    log : Path
        What it says is appended there, as is what we say of it.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._given = (command, log.parent, environment, log)
        self._deaths = 0
        self._start()

    def _start(self) -> None:
        self._since = time.monotonic()
        self.process = Guarded.start(*self._given)

    def look(self) -> str | None:
        """Start it again when it has ended; return what happened then.

        Raises
        ------
        GaveUpError
        """
        status = self.process.poll()
        if status is None:
            return None
        self._deaths = self._deaths + 1 if self._deaths and time.monotonic() - self._since < SOON else 1
        number = -status if status < 0 else status - 128  # negative: its watchdog was killed
        how = f"was ended by signal {number}" if number > 0 else f"ended with {status}"
        if self._deaths == MOST:
            raise GaveUpError(f"Airflow's {self.name} {how}, for the {MOST}rd time in a row: all of Airflow is ended.")
        self._start()
        return f"Airflow's {self.name} {how}, and is started again."


def keep(commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], log: Path, pause: float = 0.2) -> None:
    """Start services and keep them up, until interrupted; then they end in order.

    Each has a watchdog of its own, so that nothing of one that died is in the way of the next.

    Raises
    ------
    GaveUpError
        One dies again and again.
    """
    kept: list[Kept] = []
    try:
        for name, command in commands.items():
            kept.append(Kept(name, command, environment, log))
        while True:
            for said in filter(None, (one.look() for one in kept)):
                _say(said)
            time.sleep(pause)
    finally:
        for one in kept:
            one.process.send(b"T")
        for one in kept:
            one.process.stop(_PATIENCE)


def main(argv: Sequence[str]) -> int:
    """Run them with the environment that is given, and the log that is named; 0 after an interrupt."""
    airflow = [sys.executable, "-m", "airflow"]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Path(argv[0]).open("ab") as log:
            made = subprocess.run([*airflow, "db", "migrate"], stdout=log, stderr=log, check=False)
        if made.returncode != 0:
            _say(f"Airflow's database cannot be made: `airflow db migrate` ended with {made.returncode}, see its log.")
            return 1
        keep({name: [*airflow, name] for name in NAMES}, os.environ, Path(argv[0]))
    except KeyboardInterrupt:
        return 0
    except GaveUpError as error:
        _say(str(error))
    return 1


def _say(line: str) -> None:
    """Say it where it is looked for, and among what the services say."""
    print(line, flush=True)
    print(line, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
