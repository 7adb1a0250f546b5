"""Run a command, and run it again whenever a file of Python changes in a folder; end when the command does.

For the services of Airflow that import the plugins once: the api-server with its pages, and the triggerer. Both may end
at any time: nothing is lost. Not for the scheduler, whose end would take running tasks with it.
"""

import signal
import subprocess
import sys
from types import FrameType

from watchfiles import PythonFilter, watch

_STOP_SECONDS = 20


def run(folder: str, command: list[str]) -> int:
    """Run the command; return its exit code when it ends by itself, or 0 when a signal asked for the end."""
    signal.signal(signal.SIGTERM, _interrupt)
    process = subprocess.Popen(command)
    try:
        # A timeout yields no change: the time to look after the command.
        for changes in watch(folder, watch_filter=PythonFilter(), rust_timeout=1000, yield_on_timeout=True):
            if process.poll() is not None:
                return process.returncode
            if changes:
                print(f"reload: {', '.join(sorted({path for _, path in changes}))} changed", flush=True)
                _end(process)
                process = subprocess.Popen(command)
    except KeyboardInterrupt:
        _end(process)
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
