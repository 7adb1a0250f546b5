"""Discovery of many objects of which few are new: what it takes in time, memory, requests and reading.

    python -m benchmarks.discovery --objects 10000000 --new 20

Objects are listed by a server of the benchmark's own (`benchmarks.listing_server`), which answers as S3 does, in 60 ms.
The lake, in a folder, holds all but the new ones as embeddings: real Iceberg tables, of vectors that are short unless
asked for otherwise, written by as many runs as a year has days, each of photos of all labels. Discovery is production's
own, in a process of its own, with one client of as many connections as ever.
Prints the seconds of each phase, the requests, and the process' CPU, peak of memory and of scratch files.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import numpy as np
import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import FloatType, ListType, NestedField, StringType

from benchmarks.listing_server import Objects, serving
from benchmarks.meter import Meter
from orchard.lake.tables import append, open_catalog
from orchard.photos.bucket import client_config
from orchard.photos.discovery import find
from orchard.photos.found import Found

BUCKET = "fruits"
EXTRACTOR = "mobilenet_v2-f32-575378b4658d"
_DATABASE = "orchard"
_NAMES = ("uri", "etag", "label", "extractor_id", "run_id")
# As spark_jobs/tables/lake.py makes it.
_EMBEDDINGS = Schema(
    *(NestedField(number, name, StringType(), required=False) for number, name in enumerate(_NAMES, start=1)),
    NestedField(6, "embedding", ListType(7, FloatType(), element_required=False), required=False),
)
_PARTS = PartitionSpec(
    PartitionField(4, 1000, IdentityTransform(), "extractor_id"), PartitionField(5, 1001, IdentityTransform(), "run_id")
)


@dataclass(frozen=True)
class Measured:
    """What a discovery took.

    Attributes
    ----------
    batch : tuple of str
        The first uris of the batch that it wrote.
    read_bytes : int
        That reading the lake and spilling have read from files, cached or not.
    """

    found: Found
    batch: tuple[str, ...]
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    scratch_bytes: int
    read_bytes: int


def fill(root: Path, objects: Objects, new: set[int], runs: int, dimension: int) -> int:
    """Make a lake that holds all objects but the new ones; return the bytes of their files."""
    catalog = open_catalog(str(root), _DATABASE)
    table = catalog.create_table((_DATABASE, "embeddings"), _EMBEDDINGS, partition_spec=_PARTS)
    append(table, _embeddings(objects, new, runs, dimension, table.schema().as_arrow()))
    return sum(file.stat().st_size for file in (root / "tables").rglob("*.parquet"))


def _embeddings(objects: Objects, new: set[int], runs: int, dimension: int, schema: pa.Schema) -> Iterator[pa.Table]:
    rng = np.random.default_rng(0)
    for run in range(runs):
        numbers = [number for number in range(run, len(objects), runs) if number not in new]
        keys = [objects[number] for number in numbers]
        vectors = rng.random(len(numbers) * dimension, dtype=np.float32)
        columns = {
            "uri": [f"s3://{BUCKET}/{key}" for key in keys],
            "etag": [f'"{objects.etag(number)}"' for number in numbers],
            "label": [key.split("/")[1] for key in keys],
            "extractor_id": [EXTRACTOR] * len(keys),
            "run_id": [f"day-{run:03}"] * len(keys),
            "embedding": pa.ListArray.from_arrays(np.arange(len(keys) + 1, dtype=np.int32) * dimension, vectors),
        }
        yield pa.table(columns).cast(schema)


def measure(root: str, address: str, write: bool) -> Measured:
    """Discover, in this process."""
    s3 = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="eu-west-1",
        aws_access_key_id="benchmark",
        aws_secret_access_key="benchmark",
        config=client_config(),
    )
    catalog = open_catalog(root, _DATABASE)
    read = _read_bytes()
    with _watched(Path(tempfile.gettempdir())) as scratch, Meter() as meter:
        found = find(catalog, _DATABASE, "today", EXTRACTOR, [f"s3://{BUCKET}/photos"], s3=s3, write=write)
    read = _read_bytes() - read
    batch = catalog.load_table((_DATABASE, "batches")).scan(selected_fields=("uri",), limit=1000).to_arrow()
    uris = tuple(sorted(batch["uri"].to_pylist()))
    return Measured(found, uris, meter.seconds, meter.cpu_seconds, meter.peak_bytes, scratch[0], read)


@contextmanager
def _watched(folder: Path) -> Iterator[list[int]]:
    """Give the most bytes that files in a folder have had."""
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            most[0] = max(most[0], sum(_size(file) for file in folder.rglob("*")))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def _size(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _read_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))


def run(work: Path, objects: int, new: int, runs: int, dimension: int, milliseconds: float) -> tuple[Measured, int]:
    """Make a lake, serve and measure; also return the bytes of the lake's embeddings."""
    there, scratch = Objects(objects), work / "scratch"
    scratch.mkdir()
    size = fill(work / "lake", there, fresh(objects, new), runs, dimension)
    with (
        serving(there, milliseconds / 1000) as address,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _set_scratch, (str(scratch),)) as process,
    ):
        return process.submit(measure, str(work / "lake"), address, True).result(), size


def _set_scratch(folder: str) -> None:
    tempfile.tempdir = folder


def fresh(objects: int, new: int) -> set[int]:
    """Numbers of the objects that are new: all over the bucket."""
    return {(2 * number + 1) * objects // (2 * new) for number in range(new)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.discovery", description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, default=10_000_000, help="under the prefix (default: %(default)s)")
    parser.add_argument("--new", type=int, default=20, help="of them, not in the lake yet (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=365, help="that have embedded the others (default: %(default)s)")
    parser.add_argument("--dimension", type=int, default=4, help="numbers of a vector (default: %(default)s)")
    parser.add_argument("--milliseconds", type=float, default=60, help="until S3 answers (default: %(default)s)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="orchard-discovery-") as work:
        measured, size = run(Path(work), args.objects, args.new, args.runs, args.dimension, args.milliseconds)
    found = measured.found
    print(f"{found.listed:,} listed: {found.added:,} new, {found.changed:,} changed, {found.deleted:,} deleted")
    print(f"{found.requests['LIST']:,} requests to list, on {os.cpu_count()} CPUs")
    print(f"the lake's embeddings: {size / 1e6:,.0f} MB of files, of {args.dimension} numbers each, {args.runs} runs")
    print("\n| phase | seconds |\n| --- | --- |")
    for phase, seconds in {**found.seconds, "all": measured.seconds}.items():
        print(f"| {phase} | {seconds:.1f} |")
    print(f"\nCPU {measured.cpu_seconds:.0f} s, peak of memory {measured.peak_bytes / 1e6:.0f} MB, of scratch files "
          f"{measured.scratch_bytes / 1e6:.0f} MB; {measured.read_bytes / 1e6:.0f} MB were read")  # fmt: skip


if __name__ == "__main__":
    main()
