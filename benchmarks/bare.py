"""The bare loop: the same decoder and the same engine on two processors, and nothing else.

Two processes; two threads of one are as fast (`bare-threads`). They are forked, and their models loaded, before the
clock starts; what comes back over the pipes is held in memory, and written as one Parquet file.
"""

import multiprocessing as mp
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.job import SLOTS, Job, Step
from spark_jobs.extractor.engines import BATCH, Engine, Extractor, decode, open_engine

FloatArray = NDArray[np.float32]


def start(job: Job) -> Step:
    """Fork the processes; each waits with its model loaded."""
    context = mp.get_context("fork")
    ends = []
    for _ in range(SLOTS):
        here, there = context.Pipe()
        context.Process(target=_serve, args=(there, job.artefact), daemon=True).start()
        ends.append(here)
    for end in ends:
        end.recv()  # ready

    def compute(shares: list[list[Path]]) -> list[FloatArray]:
        for end, share in zip(ends, shares, strict=True):
            end.send(share)
        return [end.recv() for end in ends]

    return lambda: _step(job, compute)


def start_threads(job: Job) -> Step:
    """Do the same on threads of one process, to see which is the limit."""
    extractor = Extractor.from_bytes(job.artefact.read_bytes())
    engines = [open_engine(extractor) for _ in range(SLOTS)]
    pool = ThreadPoolExecutor(SLOTS)

    def compute(shares: list[list[Path]]) -> list[FloatArray]:
        return list(pool.map(_embed, shares, engines, [extractor] * SLOTS))

    return lambda: _step(job, compute)


def _step(job: Job, compute: Callable[[list[list[Path]]], list[FloatArray]]) -> None:
    files = job.files
    shares = [files[slot::SLOTS] for slot in range(SLOTS)]
    embeddings = np.concatenate(compute(shares))
    values = pa.FixedSizeListArray.from_arrays(embeddings.ravel(), embeddings.shape[1])
    paths = [str(path) for share in shares for path in share]
    pq.write_table(pa.table({"path": paths, "embedding": values}), job.parquet, compression="lz4")


def _serve(end: Connection, artefact: Path) -> None:
    extractor = Extractor.from_bytes(artefact.read_bytes())
    engine = open_engine(extractor)
    end.send("ready")
    end.send(_embed(end.recv(), engine, extractor))


def _embed(files: list[Path], engine: Engine, extractor: Extractor) -> FloatArray:
    rows = []
    for first in range(0, len(files), BATCH):
        rows.append(engine.embed([decode(path.read_bytes(), extractor) for path in files[first : first + BATCH]]))
    return np.concatenate(rows)
