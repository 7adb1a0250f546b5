"""Workload: the photos, artefacts and lakes that contenders are measured on."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from benchmarks.job import RUN_ID, Embeddings, Job
from spark_jobs.extractor.architectures import DEFAULT

ROOT = Path(__file__).parent.parent
_SHARED = ROOT.parent / "shared"
_CACHE = ROOT / ".cache" / "benchmarks"


@dataclass(frozen=True)
class Workload:
    """What is measured on.

    Attributes
    ----------
    source : Path
        A folder of photos, one folder a label.
    weights : str
        ``imagenet``, ``random:SEED`` or a file.
    work : Path
        A folder for everything that goes away afterwards.
    """

    source: Path
    weights: str
    work: Path

    def photos(self, size: int) -> Path:
        """Make a folder of so many distinct files, all of them read once, so that all contenders find them cached."""
        folder = self.work / f"photos-{size}"
        if not folder.exists():
            for copy, path in self._chosen(size):
                target = folder / path.relative_to(self.source).with_name(f"{path.stem}-{copy}{path.suffix}")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        for path in folder.rglob("*.*"):
            path.read_bytes()
        return folder

    def job(self, precision: str, size: int, name: str) -> Job:
        """Prepare a measurement; `name` is that of its output."""
        out = self.work / name
        out.mkdir()
        return Job(self.photos(size), self.weights, artefact(precision, self.weights, self.source), out)

    def _chosen(self, size: int) -> Iterator[tuple[int, Path]]:
        for number in range(size):
            yield number // len(self._files), self._files[number % len(self._files)]

    @cached_property
    def _files(self) -> list[Path]:
        # By the hash of the name, so that any number of them holds all labels.
        files = (path for path in self.source.rglob("*.jpg") if path.is_file())
        found = sorted(files, key=lambda path: hashlib.sha256(os.fsencode(path.relative_to(self.source))).digest())
        if not found:
            raise SystemExit(f"No *.jpg in {self.source}: give --photos a folder that holds some, one folder a label.")
        return found


@cache
def artefact(precision: str, weights: str, photos: Path | None, architecture: str = DEFAULT, options: str = "") -> Path:
    """Export an extractor, unless that was done before with this code, these weights and, for int8, these photos."""
    digest = hashlib.sha256(f"{architecture} {weights} {photos if precision == 'int8' else ''}{options}".encode())
    for code in (
        ROOT / "spark_jobs" / "export_extractor.py",
        *sorted((ROOT / "spark_jobs" / "extractor").glob("*.py")),
    ):
        digest.update(code.read_bytes())
    folder = _CACHE / f"{precision}-{digest.hexdigest()[:12]}"
    if not (done := sorted(folder.glob("*.zip"))):
        print(f"Exporting {architecture} in {precision} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "spark_jobs.export_extractor", architecture, "--weights", weights]
        command += ["--precision", precision, "--out", str(folder), *options.split()]
        if precision == "int8":
            command += ["--calibrate", str(photos)]
        exported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if exported.returncode:
            raise SystemExit(f"The {precision} extractor could not be exported:\n{exported.stderr}")
        done = sorted(folder.glob("*.zip"))
    return done[-1]


def default_photos() -> Path:
    """Find real photos beside the repository, or draw some."""
    if (real := _SHARED / "data" / "fruits-360").is_dir():
        return real
    drawn = _CACHE / "photos"
    if not drawn.exists():
        from local.sample_photos import LABELS, write_sample_photos

        unfinished = drawn.with_suffix(f".{os.getpid()}")
        write_sample_photos(unfinished, LABELS, 50, 100, 0)
        unfinished.replace(drawn)
    return drawn


def default_weights() -> str:
    """Find weights beside the repository, or let Keras fetch its own."""
    return next((str(path) for path in sorted(_SHARED.glob("weights/mobilenet_v2*.h5"))), "imagenet")


def find_batch(job: Job) -> None:
    """Let discovery fix the batch on a fresh lake, as it does before step 1."""
    from orchard.lake.tables import open_catalog
    from orchard.photos.discovery import find
    from spark_jobs.extractor.artefact import Extractor

    extractor_id = Extractor.from_bytes(job.artefact.read_bytes()).extractor_id
    find(open_catalog(str(job.out)), "orchard", RUN_ID, extractor_id, [str(job.photos)])


def embeddings(job: Job) -> Embeddings:
    """Read what a contender wrote."""
    import pyarrow.parquet as pq

    if job.parquet.exists():
        table, name = pq.read_table(job.parquet), "path"
    else:
        from orchard.lake.tables import open_catalog

        table, name = open_catalog(str(job.out)).load_table(("orchard", "embeddings")).scan().to_arrow(), "uri"
    paths = [path.partition(f"{job.photos}/")[2] for path in table[name].to_pylist()]
    return dict(zip(paths, np.array(table["embedding"].to_pylist(), np.float32), strict=True))
