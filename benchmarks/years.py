"""Years of days, one after another, through the real tables: what a day costs when the lake has grown.

    python -m benchmarks.years --days 3650 --photos 20
    python -m benchmarks.years --days 365 --photos 2000

Each day photos come, some change and some go; `run_local` finds them and does both steps, a report is made, and once a
week the tables are maintained. All of it is production's but the photos and the network (`benchmarks.drawn`). Of many
days the first and the last are lived through; those between are written into the tables at once (`benchmarks.past`).
Prints a table of days, and compares the median of the last 30 days with that of days 20 to 50.
"""

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyiceberg.expressions import EqualTo

from benchmarks import drawn, past
from benchmarks.meter import tree
from orchard.lake import ledger
from orchard.lake.rows import rows
from orchard.lake.sums import sums
from orchard.lake.tables import open_catalog
from orchard.report.page import gather, render
from spark_jobs.maintain_tables import maintain
from spark_jobs.run_local import run_local
from spark_jobs.tables.location import LakeLocation
from spark_jobs.tables.session import open_lake

PHASES = ("plan", "find", "extract", "reduce", "check", "report", "maintain")
EARLY, LATE = slice(20, 50), slice(-30, None)
_FIRST, _LAST = 50, 35  # days that are lived through, of which 5 follow on those that were not
_DATABASE = "orchard"
_WEEK = 7
_APART = ("embeddings", "coordinates")  # tables that are as large as the photos they are of


@dataclass(frozen=True)
class Day:
    """What a day cost.

    Attributes
    ----------
    number : int
        From 1.
    photos : int
        That are there at its end.
    seconds : dict of str to float
        Of each of `PHASES` that the day had.
    table_bytes : dict of str to int
        Of each table's files: data, deletes and metadata, those of snapshots that have not expired included.
    memory_bytes : int
        Resident, of the driver: Python and Java.
    """

    number: int
    photos: int
    seconds: dict[str, float]
    table_bytes: dict[str, int]
    memory_bytes: int

    @property
    def beside(self) -> int:
        """Bytes of the tables that hold no photo's vectors."""
        return sum(size for name, size in self.table_bytes.items() if name not in _APART)


@dataclass(frozen=True)
class Rates:
    """What happens a day: photos that come, and on average, that change, and that go."""

    added: int
    changed: float
    deleted: float


def days(work: Path, count: int, rates: Rates, keep_days: float) -> Iterator[Day]:
    """Live through days, or through the first and the last of many."""
    rng = np.random.default_rng(0)
    there = drawn.Photos(work / "photos", rng)
    root = str(work / "lake")
    location, artefact = LakeLocation.parse(root, _DATABASE), drawn.artefact(work)
    there.folder.mkdir()
    with closing(open_lake(location, "years")):  # Spark starts once
        number = 0
        while number < count:
            if number == _FIRST and (between := count - _FIRST - _LAST) > 0:
                past.write(open_catalog(root), _DATABASE, there, between, rates.added)
                number += between
                with closing(open_lake(location, "years")) as lake:
                    maintain(lake, 0.0)
            there.day(rates.added, int(rng.poisson(rates.changed)), int(rng.poisson(rates.deleted)))
            seconds = _live(there.folder, location, artefact)
            number += 1
            if number % _WEEK == 0:
                began = time.monotonic()
                with closing(open_lake(location, "years")) as lake:
                    # As if a day took a day: snapshots are kept for so many days like this one.
                    maintain(lake, keep_days * sum(seconds.values()) / 86_400)
                seconds["maintain"] = time.monotonic() - began
            tables = sorted((work / "lake" / "tables" / _DATABASE).iterdir())
            yield Day(number, len(there), seconds, {table.name: _bytes(table) for table in tables}, _memory())


def _live(photos: Path, location: LakeLocation, artefact: Path) -> dict[str, float]:
    """Do what a day's run of the DAG does; return the seconds of each phase."""
    catalog, clock = open_catalog(location.root), _Clock()
    if before := ledger.newest(catalog, _DATABASE):
        ledger.behind(catalog, _DATABASE, before["extractor_id"])
        ledger.rates(catalog, _DATABASE, before["extractor_id"])
        ledger.maintenance_due(catalog, _DATABASE, _WEEK)
    seconds = {"plan": clock.lap()}
    (done,) = run_local(str(photos), location, str(artefact), mass_deletion_meant=True)
    clock.lap()
    found = sums(catalog, _DATABASE, done.run_id, done.extractor_id)
    assert found.match and found.asked == found.embedded, found
    seconds["check"] = clock.lap()
    (row,) = rows(catalog, _DATABASE, "runs", EqualTo("run_id", done.run_id))
    render(gather(catalog, _DATABASE, row, lambda address: Path(address).read_bytes(), root=location.root))
    seconds["report"] = clock.lap()
    return seconds | {phase: row[f"{phase}_seconds"] for phase in ("find", "extract", "reduce")}


class _Clock:
    def __init__(self) -> None:
        self._since = time.monotonic()

    def lap(self) -> float:
        before, self._since = self._since, time.monotonic()
        return self._since - before


def _bytes(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())


def _memory() -> int:
    """Resident memory of this process and of the Java that it started."""
    return sum(process.rss for process in tree(os.getpid()) if process.pid == os.getpid() or process.is_java)


def compare(lived: Sequence[Day]) -> Iterator[str]:
    """Compare late days with early ones, a row a phase."""
    yield "| phase | days 20 to 50, s | the last 30, s | times |\n| --- | --- | --- | --- |"
    for phase in PHASES:
        early, late = ([day.seconds[phase] for day in lived[part] if phase in day.seconds] for part in (EARLY, LATE))
        if early and late:
            one, other = statistics.median(early), statistics.median(late)
            yield f"| {phase} | {one:.2f} | {other:.2f} | {other / one:.2f} |"


def record(lived: Sequence[Day]) -> Iterator[dict[str, Any]]:
    """Give every day as a row of numbers."""
    tables = sorted({name for day in lived for name in day.table_bytes})
    for day in lived:
        seconds = {f"{phase}_seconds": day.seconds.get(phase) for phase in PHASES}
        sizes = {f"{name}_bytes": day.table_bytes.get(name, 0) for name in tables}
        yield {"day": day.number, "photos": day.photos, **seconds, **sizes, "memory_bytes": day.memory_bytes}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.years", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=365, help="default: %(default)s")
    parser.add_argument("--photos", type=int, default=20, help="that come each day (default: %(default)s)")
    parser.add_argument(
        "--changed", type=float, default=0.2, help="old photos that change, a day (default: %(default)s)"
    )
    parser.add_argument("--deleted", type=float, default=0.1, help="old photos that go, a day (default: %(default)s)")
    parser.add_argument("--keep-days", type=float, default=30, help="of snapshots (default: %(default)s)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where every day is written to")
    args = parser.parse_args(argv)
    lived: list[Day] = []
    with tempfile.TemporaryDirectory() as work:
        head = ("day", "photos", *(f"{phase}, s" for phase in PHASES), "MB beside vectors", "memory, MB")
        print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}", flush=True)
        for day in days(Path(work), args.days, Rates(args.photos, args.changed, args.deleted), args.keep_days):
            lived.append(day)
            if "maintain" in day.seconds or day.number <= 3 or day.number == args.days:
                cells = [f"{day.number:,}", f"{day.photos:,}"]
                cells += [f"{day.seconds[phase]:.2f}" if phase in day.seconds else "" for phase in PHASES]
                cells += [f"{day.beside / 1e6:.1f}", f"{day.memory_bytes / 1e6:.0f}"]
                print(f"| {' | '.join(cells)} |", flush=True)
    if args.csv:
        with args.csv.open("w", newline="") as file:
            found = list(record(lived))
            writer = csv.DictWriter(file, found[0])
            writer.writeheader()
            writer.writerows(found)
    print("\n| table | MB |\n| --- | --- |")
    for name, size in lived[-1].table_bytes.items():
        print(f"| `{name}` | {size / 1e6:.1f} |")
    print()
    for line in compare(lived):
        print(line)


if __name__ == "__main__":
    main()
