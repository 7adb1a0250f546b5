"""Years of days, one after another, through the real tables: what a day costs when the lake has grown.

    python -m benchmarks.years --days 365 --photos 2000

Each day photos come, some change and some go; `run_local` finds them and does both steps, a report is made, and once a
week the tables are maintained. All of it is production's but the photos, which are 8 x 8 pixels of noise around their
label's colours, and the network, one matrix that makes 1,280 numbers of them: so that hours of decoding and inference
are left out. Prints a table of days, and compares the median of the last 30 days with that of days 20 to 50.
"""

import argparse
import hashlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.meter import tree
from orchard.lake.tables import open_catalog
from orchard.report.page import gather, render
from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor, Spec
from spark_jobs.extractor.engines import OpenVINOEngine
from spark_jobs.maintain_tables import maintain
from spark_jobs.run_local import run_local
from spark_jobs.tables.location import LakeLocation
from spark_jobs.tables.session import open_lake

LABELS = 24
DIMENSION = 1280
PHASES = ("find", "extract", "reduce", "report", "maintain")
EARLY, LATE = slice(20, 50), slice(-30, None)
_SIDE = 8
_WEEK = 7
_APART = ("embeddings", "coordinates")  # tables that are as large as the photos they are of


@dataclass(frozen=True)
class Day:
    """What a day cost.

    Attributes
    ----------
    seconds : dict of str to float
        Of each of `PHASES` that the day had.
    table_bytes : dict of str to int
        Of each table's files: data, deletes and metadata, those of snapshots that have not expired included.
    memory_bytes : int
        Resident, of the driver: Python and Java.
    """

    photos: int
    seconds: dict[str, float]
    table_bytes: dict[str, int]
    memory_bytes: int


class Photos:
    """A folder that photos come to, change in and go from, as a generator of random numbers says."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder, self._rng = folder, rng
        self._means = rng.uniform(60, 200, (LABELS, _SIDE, _SIDE, 3))
        self._there: list[Path] = []

    def __len__(self) -> int:
        return len(self._there)

    def day(self, added: int, changed: int, deleted: int) -> None:
        for _ in range(min(deleted, len(self._there))):
            self._there.pop(int(self._rng.integers(len(self._there)))).unlink()
        for path in self._rng.choice(
            np.array(self._there, dtype=object), min(changed, len(self._there)), replace=False
        ):
            self._write(path)
        first = int(time.time_ns())
        for number in range(added):
            path = self.folder / f"label {self._rng.integers(LABELS):02}" / f"{first}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path)
            self._there.append(path)

    def _write(self, path: Path) -> None:
        mean = self._means[int(path.parent.name.split()[1])]
        pixels = np.clip(mean + self._rng.normal(0, 40, mean.shape), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)


def drawn_artefact(folder: Path) -> Path:
    """Write an artefact that makes 1,280 numbers of 192, by one matrix."""
    openvino = OpenVINOEngine.library()
    from openvino import opset13 as op

    matrix = np.random.default_rng(0).normal(0, 1 / _SIDE, (3 * _SIDE**2, DIMENSION)).astype(np.float32)
    pixels = op.parameter([-1, _SIDE, _SIDE, 3], np.uint8)
    flat = op.reshape(op.divide(op.convert(pixels, "f32"), op.constant(255, np.float32)), [-1, len(matrix)], False)
    model = openvino.Model([op.relu(op.matmul(flat, op.constant(matrix), False, False))], [pixels], "drawn")
    openvino.serialize(model, folder / "model.xml", folder / "model.bin")
    xml, weights = ((folder / f"model.{suffix}").read_bytes() for suffix in ("xml", "bin"))
    image = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)).save(image, "PNG")
    seen = photos.decode(image.getvalue(), (_SIDE, _SIDE)).astype(np.float32).ravel() / 255
    spec = Spec(
        architecture="drawn",
        precision="f32",
        input_size=(_SIDE, _SIDE),
        dimension=DIMENSION,
        photo_recipe=photos.RECIPE,
        preprocessing="none",
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        quantised_sha256=None,
        tolerance=0.99999,
        norm_tolerance=1e-3,
        versions={},
    )
    extractor = Extractor(spec, xml, weights, None, image.getvalue(), np.maximum(seen @ matrix, 0))
    path = folder / f"{extractor.extractor_id}.zip"
    path.write_bytes(extractor.to_bytes())
    return path


def days(work: Path, count: int, added: int, changed: float, deleted: float, keep_days: float) -> Iterator[Day]:
    """Live through days; `changed` and `deleted` are photos of before a day, of which a part may fall on some days."""
    rng = np.random.default_rng(0)
    there = Photos(work / "photos", rng)
    root = str(work / "lake")
    location, artefact = LakeLocation.parse(root, "orchard"), drawn_artefact(work)
    (work / "photos").mkdir()
    with closing(open_lake(location, "years")):  # Spark starts once
        for number in range(count):
            there.day(added, int(rng.poisson(changed)), int(rng.poisson(deleted)))
            (done,) = run_local(str(work / "photos"), location, str(artefact), mass_deletion_meant=True)
            catalog = open_catalog(root)
            (row,) = catalog.load_table("orchard.runs").scan(f"run_id = '{done.run_id}'").to_arrow().to_pylist()
            seconds = {phase: row[f"{phase}_seconds"] for phase in ("find", "extract", "reduce")}
            began = time.monotonic()
            render(gather(catalog, "orchard", row, lambda address: Path(address).read_bytes(), root=root))
            seconds["report"] = time.monotonic() - began
            if number % _WEEK == _WEEK - 1:
                began = time.monotonic()
                with closing(open_lake(location, "years")) as lake:
                    # As if a day took a day: snapshots are kept for so many days like this one.
                    maintain(lake, keep_days * sum(seconds.values()) / 86_400)
                seconds["maintain"] = time.monotonic() - began
            tables = sorted((work / "lake" / "tables" / "orchard").iterdir())
            yield Day(len(there), seconds, {table.name: _bytes(table) for table in tables}, _memory())


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


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.years", description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="default: %(default)s")
    parser.add_argument("--photos", type=int, default=20, help="that come each day (default: %(default)s)")
    parser.add_argument(
        "--changed", type=float, default=0.2, help="old photos that change, a day (default: %(default)s)"
    )
    parser.add_argument("--deleted", type=float, default=0.1, help="old photos that go, a day (default: %(default)s)")
    parser.add_argument("--keep-days", type=float, default=30, help="of snapshots (default: %(default)s)")
    args = parser.parse_args(argv)
    lived: list[Day] = []
    with tempfile.TemporaryDirectory() as work:
        head = ("day", "photos", *(f"{phase}, s" for phase in PHASES), "kB a photo beside embeddings", "memory, MB")
        print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}", flush=True)
        for day in days(Path(work), args.days, args.photos, args.changed, args.deleted, args.keep_days):
            lived.append(day)
            number = len(lived)
            if number <= 3 or number % max(args.days // 20 // _WEEK * _WEEK, _WEEK) == 0 or number == args.days:
                beside = sum(size for name, size in day.table_bytes.items() if name not in _APART)
                cells = [str(number), f"{day.photos:,}"]
                cells += [f"{day.seconds[phase]:.2f}" if phase in day.seconds else "" for phase in PHASES]
                cells += [f"{beside / day.photos / 1000:.1f}", f"{day.memory_bytes / 1e6:.0f}"]
                print(f"| {' | '.join(cells)} |", flush=True)
    print("\n| table | MB |\n| --- | --- |")
    for name, size in lived[-1].table_bytes.items():
        print(f"| `{name}` | {size / 1e6:.1f} |")
    print()
    for line in compare(lived):
        print(line)


if __name__ == "__main__":
    main()
