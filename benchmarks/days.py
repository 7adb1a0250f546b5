"""Days: what each cost, how late ones compare with early ones, and their chart."""

import csv
import os
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.meter import tree
from benchmarks.s3 import Served
from orchard.photos.found import Clock

PHASES = ("plan", "find", "extract", "reduce", "check", "report", "maintain")
EARLY, LATE = slice(20, 50), slice(-30, None)
APART = ("embeddings", "coordinates")  # tables that are as large as the photos they are of


@dataclass(frozen=True)
class Day:
    """What a day cost.

    Attributes
    ----------
    number : int
        From 1.
    photos : int
        That are there at its end.
    seconds : Mapping of str to float
        Of each of `PHASES` that the day had.
    requests : Mapping of str to int
        Of a lake in S3: how many, by kind.
    table_bytes : Mapping of str to int
        Of each table's files: data, deletes and metadata, those of snapshots that have not expired included.
    memory_bytes : int
        Resident, of the driver: Python and Java.
    """

    number: int
    photos: int
    seconds: Mapping[str, float]
    requests: Mapping[str, int]
    table_bytes: Mapping[str, int]
    memory_bytes: int

    @property
    def beside(self) -> int:
        """Bytes of the tables that hold no photo's vectors."""
        return sum(size for name, size in self.table_bytes.items() if name not in APART)


class Watch(Clock):
    """A clock that counts requests, too: those of all phases together."""

    def __init__(self, served: Served | None = None) -> None:
        super().__init__()
        self._served = served
        self._before = served.counts() if served else Counter[str]()

    def divide(self, phase: str, parts: Mapping[str, float]) -> None:
        """Put the parts of a phase in its place."""
        del self.seconds[phase]
        self.seconds |= parts

    @property
    def requests(self) -> Counter[str]:
        return self._served.counts() - self._before if self._served else Counter()


def memory() -> int:
    """Resident memory of this process and of the Java that it started."""
    return sum(process.rss for process in tree(os.getpid()) if process.pid == os.getpid() or process.is_java)


def print_tables(lived: Sequence[Day], days: int) -> None:
    """Print the newest day where it is one of those that are shown, and after the last one the tables' bytes."""
    day = lived[-1]
    if len(lived) == 1:
        head = ("day", "photos", *(f"{phase}, s" for phase in PHASES), "MB beside vectors", "memory, MB")
        print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}", flush=True)
    if "maintain" in day.seconds or day.number <= 3 or day.number == days:
        cells = [f"{day.number:,}", f"{day.photos:,}"]
        cells += [f"{day.seconds[phase]:.2f}" if phase in day.seconds else "" for phase in PHASES]
        cells += [f"{day.beside / 1e6:.1f}", f"{day.memory_bytes / 1e6:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    if day.number == days:
        print("\n| table | MB | bytes a photo |\n| --- | --- | --- |")
        for name, size in day.table_bytes.items():
            print(f"| `{name}` | {size / 1e6:.1f} | {size / day.photos:,.0f} |")
        print(f"| beside vectors | {day.beside / 1e6:.1f} | {day.beside / day.photos:,.0f} |\n")


def compare(lived: Sequence[Day]) -> Iterator[str]:
    """Compare late days with early ones, a row a phase."""
    yield "| phase | days 20 to 50, s | the last 30, s | times |\n| --- | --- | --- | --- |"
    for phase in PHASES:
        early, late = ([day.seconds[phase] for day in lived[part] if phase in day.seconds] for part in (EARLY, LATE))
        if early and late:
            one, other = statistics.median(early), statistics.median(late)
            yield f"| {phase} | {one:.2f} | {other:.2f} | {other / one:.2f} |"


def requests_table(lived: Sequence[Day]) -> Iterator[str]:
    """Compare requests likewise, of days without maintenance, a row a kind."""
    early, late = ([day.requests for day in lived[part] if "maintain" not in day.seconds] for part in (EARLY, LATE))
    kinds = sorted({kind for day in lived for kind in day.requests})
    if kinds:
        yield "\n| requests a day | days 20 to 50 | the last 30 |\n| --- | --- | --- |"
    for kind in kinds:
        yield f"| {kind} | {_median(early, kind)} | {_median(late, kind)} |"


def _median(requests: Sequence[Mapping[str, int]], kind: str) -> str:
    return f"{statistics.median(one.get(kind, 0) for one in requests):.0f}" if requests else ""


def record(lived: Sequence[Day], file: Path) -> None:
    """Write every day as a row of numbers."""
    tables = sorted({name for day in lived for name in day.table_bytes})
    with file.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(
            ["day", "photos", *(f"{phase}_seconds" for phase in PHASES), *(f"{name}_bytes" for name in tables),
             "memory_bytes", "requests"]
        )  # fmt: skip
        for day in lived:
            seconds = (day.seconds.get(phase) for phase in PHASES)
            sizes = (day.table_bytes.get(name, 0) for name in tables)
            writer.writerow([day.number, day.photos, *seconds, *sizes, day.memory_bytes, sum(day.requests.values())])


def chart(lived: Sequence[Day], file: Path) -> None:
    """Draw seconds of each phase, and bytes of each table, by day; days that were not lived through are a gap."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    seconds, sizes = figure.subplots(1, 2)
    early, late = lived[: EARLY.stop], lived[EARLY.stop :]
    gap = bool(late) and late[0].number > early[-1].number + 1
    # Where years lie between them, late days follow on early ones at a distance of ten days.
    at = [day.number for day in early] + [
        (early[-1].number + 10 + day.number - late[0].number if gap else day.number) for day in late
    ]
    for axes, names, of in (
        (seconds, PHASES, lambda day, name: day.seconds.get(name)),
        (sizes, sorted({name for day in lived for name in day.table_bytes}), _megabytes),
    ):
        for name in names:
            points = [(x, of(day, name)) for x, day in zip(at, lived, strict=True) if of(day, name)]
            if points:
                axes.plot(*zip(*points, strict=True), ".", markersize=4, label=name)
        axes.set_yscale("log")
        axes.set_xlabel("day")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        if gap:
            shown = [early[0], early[-1], late[0], late[-1]]
            axes.set_xticks([at[lived.index(day)] for day in shown], [f"{day.number:,}" for day in shown])
    seconds.set_ylabel("seconds")
    sizes.set_ylabel("MB of a table's files")
    figure.savefig(file)


def _megabytes(day: Day, table: str) -> float | None:
    size = day.table_bytes.get(table)
    return size / 1e6 if size else None
