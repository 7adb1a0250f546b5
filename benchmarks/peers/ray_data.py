"""Ray Data: as its guides to images and to batch inference have it, and tuned, with our decoder and engine.

Both: an actor a slot, which holds its model. Ray fuses reading into the actors, so that no pixels travel between
processes. With actors of one CPU each, as documented, writing waits until they have gone (ray-project/ray #44687 tells
what else may wait); the tuned ones claim half a CPU, so that embeddings are written while others are computed.
"""

import atexit
import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.job import SLOTS, Job, Step
from benchmarks.peers.models import Keras, Ours

if TYPE_CHECKING:
    import pyarrow as pa

_PHOTOS_A_BLOCK = 256
"""Of the tuned ones, at least: a block is a task and a file to write, which cost a tenth of a second."""


def start(job: Job) -> Step:
    """As documented: pixels from `read_images`, the batch size for CPUs ("auto"), a fixed pool of actors."""
    ray = _start()

    def step() -> None:
        photos = ray.data.read_images(str(job.photos), size=(224, 224), mode="RGB", include_paths=True)
        photos.map_batches(
            KerasActor,
            fn_constructor_args=(job.weights,),
            compute=ray.data.ActorPoolStrategy(size=SLOTS),
            batch_size="auto",
        ).write_parquet(str(job.parquet))

    return step


def start_ours(job: Job) -> Step:
    """Tuned: bytes in, embeddings out, whole blocks as Arrow tables."""
    ray = _start()

    def step() -> None:
        photos = ray.data.read_binary_files(
            str(job.photos), include_paths=True, override_num_blocks=blocks(len(job.files)), num_cpus=0.5
        )
        photos.map_batches(
            OurActor,
            fn_constructor_args=(job,),
            compute=ray.data.ActorPoolStrategy(size=SLOTS),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=0.5,
        ).write_parquet(str(job.parquet))

    return step


def blocks(photos: int) -> int:
    """Say how many blocks there are: as many for each slot."""
    return SLOTS * max(2, photos // _PHOTOS_A_BLOCK // SLOTS)


class KerasActor:
    """A model, and what Ray Data does with it."""

    def __init__(self, weights: str) -> None:
        self._model = Keras(weights)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"path": batch["path"], "embedding": self._model(batch["image"])}


class OurActor:
    """The same with ours."""

    def __init__(self, job: Job) -> None:
        self._model = Ours(job.artefact)

    def __call__(self, batch: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        embeddings = self._model(batch["bytes"].to_pylist())
        values = pa.FixedSizeListArray.from_arrays(embeddings.ravel(), embeddings.shape[1])
        return pa.table({"path": batch["path"], "embedding": values})


def _start() -> Any:
    """Start a Ray of this process's own; it is up when a task for each slot has run."""
    # Its logs go when it has. Not beside the output: a socket's path in it may have 107 bytes.
    folder = TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    import ray.data

    ray.init(
        num_cpus=SLOTS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=folder.name,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.get([ray.remote(_nothing).remote() for _ in range(SLOTS)])
    return ray


def _nothing() -> None:
    """Do as little as a task can."""
