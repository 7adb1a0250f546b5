"""Job: what one measurement has to do, the same for every contender."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SLOTS = 2
"""Tasks at once, threads or processes: every contender has as many."""

RUN_ID = "bench"

Step = Callable[[], None]
"""What is timed: from the start of the job until its output is committed."""

Embeddings = dict[str, NDArray[np.float32]]
"""By photo: the path below the folder of photos."""


@dataclass(frozen=True)
class Job:
    """One contender's measurement.

    Attributes
    ----------
    photos : Path
        A folder of photos, one folder a label; absolute, without links.
    weights : str
        ``imagenet``, ``random:SEED`` or a file: for those who build the Keras model themselves.
    artefact : Path
        The exported extractor, for those who do not.
    out : Path
        Where the output goes: a lake with the run's batch in it, or a folder that is still empty.
    """

    photos: Path
    weights: str
    artefact: Path
    out: Path

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.photos.rglob("*") if path.is_file())

    @property
    def parquet(self) -> Path:
        """Where a contender without a lake writes."""
        return self.out / "embeddings.parquet"


def one_thread_each() -> None:
    """Keep NumPy's own threads out of a measurement, as Spark does on its workers (OMP_NUM_THREADS)."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
