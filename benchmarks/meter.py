"""Meter: CPU seconds and memory of this process and of all below it, from /proc (so on Linux only)."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_EVERY = 0.2
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A line of /proc/PID/stat."""

    pid: int
    parent: int
    started: int  # in ticks since the machine did; with its pid, what no other process has
    own: float  # seconds of CPU
    cpu: float  # the same, and those of its children that have ended and were waited for
    rss: int  # bytes

    @property
    def is_java(self) -> bool:
        # Not by its name: a process that Java is about to start still has Java's memory, and the name of a thread.
        try:
            return os.path.basename(os.readlink(f"/proc/{self.pid}/exe")) in ("java", "jspawnhelper")
        except OSError:  # it ended
            return True


class Meter:
    """Measure what happens inside a ``with``.

    Attributes
    ----------
    seconds, cpu_seconds : float
        The latter of all processes, Java and those that ended included. Ray waits for none of its own that end, so
        these count as far as they were last seen.
    peak_bytes : int
        Of all processes but Java; what they share counts once (PSS).
    """

    def __init__(self) -> None:
        self.seconds, self.cpu_seconds, self.peak_bytes = 0.0, 0.0, 0
        self._highest_rss = 0
        self._own: dict[tuple[int, int], float] = {}
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="meter", daemon=True)

    def __enter__(self) -> "Meter":
        self._cpu_before, self._own_before = self._cpu()
        self._sampler.start()
        self.started_at = time.time()
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds = time.perf_counter() - self._started
        self._over.set()
        self._sampler.join()
        cpu, own = self._cpu()
        self.cpu_seconds = max(cpu - self._cpu_before, own - self._own_before)

    def _sample(self) -> None:
        while not self._over.wait(_EVERY):
            processes = tree(os.getpid())
            self._own |= {(process.pid, process.started): process.own for process in processes}
            pythons = [process for process in processes if not process.is_java]
            # Reading a PSS takes the kernel some milliseconds a gigabyte, so only where there may be a new peak.
            if (rss := sum(process.rss for process in pythons)) > self._highest_rss * 1.01:
                self._highest_rss = rss
                self.peak_bytes = max(self.peak_bytes, sum(_pss(process.pid) for process in pythons))

    def _cpu(self) -> tuple[float, float]:
        """Sum up what the processes that are there now say of themselves, and what all have had that were seen."""
        processes = tree(os.getpid())
        self._own |= {(process.pid, process.started): process.own for process in processes}
        return sum(process.cpu for process in processes), sum(self._own.values())


def tree(top: int) -> list[Process]:
    """List a process and all below it."""
    by_parent: dict[int, list[Process]] = {}
    found = []
    for folder in os.listdir("/proc"):
        if folder.isdecimal() and (process := _process(int(folder))):
            by_parent.setdefault(process.parent, []).append(process)
            if process.pid == top:
                found.append(process)
    for process in found:  # grows as it goes
        found.extend(by_parent.get(process.pid, []))
    return found


def _process(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    own, cpu = (sum(map(int, fields[11:end])) / _TICK for end in (13, 15))
    return Process(pid, int(fields[1]), int(fields[19]), own, cpu, int(fields[21]) * _PAGE)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
