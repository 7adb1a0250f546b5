"""Years of days, one after another, through the real tables: what a day costs when the lake has grown.

    python -m benchmarks.years --days 3650 --photos 20
    python -m benchmarks.years --days 365 --photos 2000

Each day photos come, some change and some go; `run_local` finds them and does both steps, sums are checked, a report is
made, and once a week the tables are maintained. All of it is production's but the photos and the network
(`benchmarks.drawn`). Of many days the first and the last are lived through; those between are written into the tables
at once (`benchmarks.past`). With --s3 the lake is in an emulator of S3 and Glue, and requests are counted.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import boto3
import numpy as np
from pyiceberg.expressions import EqualTo

from benchmarks import drawn, past
from benchmarks.days import Day, Watch, chart, compare, memory, print_tables, record, requests_table
from benchmarks.s3 import Served, serving
from local.principals import ACCOUNT
from orchard.lake import ledger
from orchard.lake.rows import rows
from orchard.lake.sums import sums
from orchard.lake.tables import open_catalog
from orchard.report.page import gather, render
from spark_jobs.maintain_tables import maintain
from spark_jobs.run_local import run_local
from spark_jobs.running.objects import read_whole
from spark_jobs.tables.location import LakeLocation
from spark_jobs.tables.session import open_lake

_FIRST, _LAST = 50, 35  # days that are lived through, of which 5 follow on those that were not
_DATABASE = "orchard"
_BUCKET = "years"
_WEEK = 7


@dataclass(frozen=True)
class Rates:
    """What happens a day: photos that come, and on average, that change, and that go."""

    added: int
    changed: float
    deleted: float


@dataclass(frozen=True)
class Place:
    """Where a lake is, and where its tables lie on the disk."""

    root: str
    tables: Path
    served: Served | None = None

    @property
    def location(self) -> LakeLocation:
        return LakeLocation.parse(self.root, _DATABASE)


def days(work: Path, place: Place, count: int, rates: Rates, keep_days: float) -> Iterator[Day]:
    """Live through days, or through the first and the last of many."""
    rng = np.random.default_rng(0)
    there, artefact = drawn.Photos(work / "photos", rng), drawn.artefact(work)
    there.folder.mkdir()
    open_catalog(place.root)
    with closing(open_lake(place.location, "years")):  # Spark starts once
        number = 0
        while number < count:
            if number == _FIRST and (between := count - _FIRST - _LAST) > 0:
                past.write(open_catalog(place.root), _DATABASE, there, between, rates.added)
                number += between
                _maintain(place, 0.0)
            there.day(rates.added, int(rng.poisson(rates.changed)), int(rng.poisson(rates.deleted)))
            watch = Watch(place.served)
            _live(there.folder, place, artefact, watch)
            number += 1
            if number % _WEEK == 0:
                # As if a day took a day: snapshots are kept for so many days like this one.
                _maintain(place, keep_days * sum(watch.seconds.values()) / 86_400)
                watch.stops("maintain")
            sizes = {table.name: _bytes(table) for table in sorted(place.tables.iterdir())}
            yield Day(number, len(there), watch.seconds, watch.requests, sizes, memory())


def _live(photos: Path, place: Place, artefact: Path, watch: Watch) -> None:
    """Do what a day's run of the DAG does."""
    catalog = open_catalog(place.root)
    if before := ledger.newest(catalog, _DATABASE):
        ledger.behind(catalog, _DATABASE, before["extractor_id"])
        ledger.rates(catalog, _DATABASE, before["extractor_id"])
        ledger.maintenance_due(catalog, _DATABASE, _WEEK)
    watch.stops("plan")
    (done,) = run_local(str(photos), place.location, str(artefact), mass_deletion_meant=True)
    watch.stops("run")
    found = sums(catalog, _DATABASE, done.run_id, done.extractor_id)
    assert found.match and found.asked == found.embedded, found
    watch.stops("check")
    (row,) = rows(catalog, _DATABASE, "runs", EqualTo("run_id", done.run_id))
    render(gather(catalog, _DATABASE, row, read_whole, root=place.root))
    watch.stops("report")
    watch.divide("run", {phase: row[f"{phase}_seconds"] for phase in ("find", "extract", "reduce")})


def _maintain(place: Place, keep_days: float) -> None:
    with closing(open_lake(place.location, "years")) as lake:
        maintain(lake, keep_days)


def _bytes(folder: Path) -> int:
    # The emulator keeps what it knows of an object beside it.
    files = (entry for entry in folder.rglob("*") if entry.is_file() and not entry.name.endswith(".meta.json"))
    return sum(file.stat().st_size for file in files)


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
    parser.add_argument("--s3", action="store_true", help="the lake in an emulator of S3 and Glue")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where every day is written to")
    parser.add_argument(
        "--chart", type=Path, metavar="FILE", help="where seconds and bytes by day are drawn (.png, .svg)"
    )
    args = parser.parse_args(argv)
    lived: list[Day] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with serving(work / "aws") if args.s3 else nullcontext() as served:
            place = _in_s3(work, served) if served else Place(str(work / "lake"), work / "lake/tables" / _DATABASE)
            for day in days(work, place, args.days, Rates(args.photos, args.changed, args.deleted), args.keep_days):
                lived.append(day)
                print_tables(lived, args.days)
    if args.csv:
        record(lived, args.csv)
    if args.chart:
        chart(lived, args.chart)
    for line in (*compare(lived), *requests_table(lived)):
        print(line)


def _in_s3(work: Path, served: Served) -> Place:
    os.environ |= served.environment
    boto3.client("s3").create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return Place(f"s3://{_BUCKET}/lake", work / "aws/s3" / ACCOUNT / _BUCKET / f"lake/tables/{_DATABASE}.db", served)


if __name__ == "__main__":
    main()
