"""Runs one command, and leaves none of its processes behind, whatever happens to the server.

``python -I -S watchdog.py PIPE[:SECONDS] COMMAND...`` where PIPE is the number of a descriptor whose other end only the
server holds. A letter that comes through it is a signal for the command: ``I`` SIGINT and ``T`` SIGTERM to it alone,
``K`` SIGKILL to it and all its descendants. When it closes, because the server ended or was killed, or on SIGTERM, all
descendants are killed; with SECONDS, the command gets SIGTERM and so much time first, to save what it must.
So they are when the command has ended by itself: a step's processes end with it.

A script of its own, which imports only the standard library: it is started for every step.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

SIGNALS = {b"I": signal.SIGINT, b"T": signal.SIGTERM}
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent dies, so that a daemon, too, is found again. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Let the command die when even this process was killed. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """Find all processes below one. Spark's Python workers leave the process group, so that one is not enough."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it is gone
            # The name stands in parentheses and may hold anything; state and parent follow.
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(folder.name))
    found = list(children.get(root, ()))
    for pid in found:  # grows on the way
        found += children.get(pid, ())
    return found


def kill_all(group: int) -> None:
    """Kill the command's processes until none is left: one may be forking while another is killed."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while below := descendants(os.getpid()):
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        select.select([], [], [], 0.01)


def main(argv: list[str]) -> int:
    """Run the command; return its exit status, or 128 and the signal that ended it."""
    descriptor, _, patience = argv[0].partition(":")
    pipe, command, until = int(descriptor), argv[1:], 0.0
    adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 126 if isinstance(error, PermissionError) else 127
    while child.poll() is None:
        # Once it is closed, the pipe would be ready for ever.
        left = max(0.0, until - time.monotonic()) if until else None
        ready, _, _ = select.select([woken] if until else [pipe, woken], [], [], left)
        end = left == 0.0
        if woken in ready:
            end |= bool(set(os.read(woken, 100)) - {signal.SIGCHLD})
        if pipe in ready:
            letter = os.read(pipe, 1)
            if letter in SIGNALS:
                child.send_signal(SIGNALS[letter])
            elif not letter and patience:
                until = time.monotonic() + float(patience)
                child.terminate()
            else:
                end = True
        if end:
            kill_all(child.pid)
            child.wait()
    kill_all(child.pid)
    with contextlib.suppress(ChildProcessError):  # no child is left
        while True:
            os.wait()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
