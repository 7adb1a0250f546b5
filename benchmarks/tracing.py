"""Where the fixed seconds of step 1 go: when each of its parts happened, in seconds from its start.

The product knows nothing of this: functions of it are wrapped, on the driver and in the Python workers. A traced step
is a little slower, and is not for comparing.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

_FILE = "trace.jsonl"


def install(folder: Path) -> None:
    """Wrap the parts of step 1; what they note goes to a file in `folder`."""
    from spark_jobs import extract_embeddings
    from spark_jobs.tables.batch import Batch
    from spark_jobs.tables.lake import Lake

    file = str(folder / _FILE)

    def noted(function: Callable[..., Any], event: Callable[..., str]) -> Callable[..., Any]:
        @wraps(function)
        def noting(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            _note(file, event(*args))
            return result

        return noting

    def classmethod_noted(kind: type, name: str, event: str) -> None:
        setattr(kind, name, staticmethod(noted(getattr(kind, name), lambda *_: event)))

    classmethod_noted(Batch, "read", "batch read")
    for kind, name, event in (
        (Lake, "create_tables", lambda *_: "tables made"),
        (Batch, "withdraw", lambda *_: "old rows withdrawn"),
        (Lake, "replace", lambda _, table, *__: f"{table} committed"),
    ):
        setattr(kind, name, noted(getattr(kind, name), event))
    step: Any = extract_embeddings
    make_task = step.embedding_task

    def traced_task(artefact: str, engine: str, *counters: Any) -> Callable[..., Any]:
        return _traced(make_task(artefact, engine, *counters), file, artefact, engine)

    step.embedding_task = traced_task


def read(folder: Path, started: float) -> list[tuple[str, float]]:
    """Read the events in their order, in seconds from `started` (`time.time`)."""
    notes = [json.loads(line) for line in (folder / _FILE).read_text().splitlines()]
    return sorted(((note["event"], note["at"] - started) for note in notes), key=lambda event: event[1])


def _note(file: str, event: str, at: float | None = None) -> None:
    with open(file, "a") as notes:
        notes.write(json.dumps({"event": event, "at": time.time() if at is None else at}) + "\n")


def _traced(task: Callable[..., Any], file: str, artefact: str, engine: str) -> Callable[..., Any]:
    def traced(batches: Iterable[Any]) -> Iterator[Any]:
        from spark_jobs.running.worker import load_engine

        worker = f"worker {os.getpid()}"
        entered = time.time()
        _, model = load_engine(artefact, engine)
        loaded = time.time()
        busy = _Busy(model)
        yield from task(batches)
        ended = time.time()
        busy.stop()
        _note(file, f"{worker}: daemon started", _started(os.getppid()))
        _note(file, f"{worker}: forked", _started(os.getpid()))
        _note(file, f"{worker}: task entered", entered)
        _note(file, f"{worker}: engine loaded", loaded)
        if busy.photos:
            _note(file, f"{worker}: first {busy.first_photos} embedded", busy.first)
            in_engine = f"{busy.seconds:.2f} of {ended - loaded:.2f} s in the engine"
            _note(file, f"{worker}: last of {busy.photos} embedded, {in_engine}", busy.last)
        _note(file, f"{worker}: task ended", ended)

    return traced


class _Busy:
    """Takes the time of an engine's calls."""

    def __init__(self, engine: Any) -> None:
        self.seconds, self.photos = 0.0, 0
        self.first_photos, self.first, self.last = 0, 0.0, 0.0
        self._engine, self._embed = engine, engine.embed
        engine.embed = self._timed

    def stop(self) -> None:
        del self._engine.embed

    def _timed(self, pixels: Any) -> np.ndarray[Any, Any]:
        begun = time.perf_counter()
        embeddings: np.ndarray[Any, Any] = self._embed(pixels)
        self.seconds += time.perf_counter() - begun
        self.last = time.time()
        if not self.photos:
            self.first, self.first_photos = self.last, len(pixels)
        self.photos += len(pixels)
        return embeddings


def _started(pid: int) -> float:
    """When a process started, as `time.time` says it."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
