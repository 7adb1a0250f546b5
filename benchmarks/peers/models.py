"""What a peer's workers hold, one each: our decoder and engine, or the Keras model. Of no framework, nor importing one.

Both are made where they work, and once: that is how Ray Data and Daft document it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Ours:
    """Our decoder and our engine on one thread, from bytes to embeddings without a stage between."""

    def __init__(self, artefact: Path) -> None:
        from spark_jobs.extractor.engines import Extractor, open_engine

        self._extractor = Extractor.from_bytes(artefact.read_bytes())
        self._engine = open_engine(self._extractor)

    def __call__(self, photos: Sequence[bytes]) -> FloatArray:
        """Embed photos, pixels of `BATCH` of them in memory at a time."""
        from spark_jobs.extractor.engines import BATCH, decode

        rows = []
        for first in range(0, len(photos), BATCH):
            rows.append(self._engine.embed([decode(photo, self._extractor) for photo in photos[first : first + BATCH]]))
        return np.concatenate(rows)


class Keras:
    """The Keras model and its `predict`, as in the notebook.

    Ray Data's guide calls the model itself. Of a batch of 100 photos that holds 9 GB, as Keras then keeps what every
    layer gave until the last is done.
    """

    def __init__(self, weights: str) -> None:
        from spark_jobs.extractor.architectures import ARCHITECTURES
        from spark_jobs.extractor.keras_models import build

        model = build(ARCHITECTURES["mobilenet_v2"], weights)
        self._model = type(model)(model.inputs, model.outputs[0])  # without its map

    def __call__(self, pixels: NDArray[np.uint8]) -> FloatArray:
        """Embed pixels: ndarray of shape (n, height, width, 3), 0 to 255."""
        embeddings: FloatArray = self._model.predict(pixels.astype(np.float32), verbose=0)
        return embeddings
