"""Daft: as its guides to images and to classes have it, and tuned, with our decoder and engine.

Both: a model a slot. As documented, Daft decides where they are, and takes threads of its own process; the tuned ones
are processes, as threads with an engine each end with "double free" in OpenVINO.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.job import SLOTS, Job, Step
from benchmarks.peers.models import Keras, Ours

_IMAGES = 100
"""To the Keras model at once: what Daft's own benchmark of image classification has."""

_PHOTOS = 16
"""To our engine at once: a call costs a millisecond or two, and a last one is waited for."""


def start(job: Job) -> Step:
    """As documented: `download`, `decode_image` and `resize` in Daft, the model in a class with a batch method."""
    daft = _start()

    @daft.cls(max_concurrency=SLOTS)
    class Model:
        def __init__(self, weights: str) -> None:
            self._model = Keras(weights)

        @daft.method.batch(return_dtype=daft.DataType.list(daft.DataType.float32()), batch_size=_IMAGES)  # type: ignore[untyped-decorator]
        def embed(self, images: Any) -> Any:
            return self._model(np.array(images.to_pylist()))

    def step() -> None:
        photos = daft.from_glob_path(f"{job.photos}/**/*.jpg")
        image = daft.col("path").download().decode_image(mode="RGB").resize(224, 224)
        embedding = Model(job.weights).embed(image).alias("embedding")
        photos.select("path", embedding).write_parquet(str(job.parquet))

    return step


def start_ours(job: Job) -> Step:
    """Tuned: paths to the workers, which read, decode and embed in one call.

    With `download` in Daft, bytes go through shared memory: half a CPU second more of 200 photos, and 90 MB.
    """
    # Daft imports tensorflow, where it is installed, to know tensors from other values (`lit`): five seconds. Who
    # embeds with OpenVINO has none installed.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    daft = _start()

    @daft.cls(max_concurrency=SLOTS, use_process=True)
    class Model:
        def __init__(self, artefact: Path) -> None:
            self._model = Ours(artefact)

        @daft.method.batch(return_dtype=daft.DataType.list(daft.DataType.float32()), batch_size=_PHOTOS)  # type: ignore[untyped-decorator]
        def embed(self, paths: Any) -> Any:
            return self._model([Path(path).read_bytes() for path in paths.to_pylist()])

    def step() -> None:
        photos = daft.from_pydict({"path": [str(file) for file in job.files]})
        embedding = Model(job.artefact).embed(daft.col("path")).alias("embedding")
        photos.select("path", embedding).write_parquet(str(job.parquet))

    return step


def _start() -> Any:
    os.environ["DO_NOT_TRACK"] = "1"
    import daft

    daft.set_runner_native()
    return daft
