"""Looks in parts: a network at one view, and what features, mirror and several views make of its numbers.

By this the parts of an extractor can be measured once each; `spark_jobs.extractor.keras_models.build` puts the same
into one model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_jobs.extractor.architectures import Architecture, Look
from spark_jobs.extractor.artefact import FloatArray
from spark_jobs.extractor.engines import OpenVINOEngine, Pixels
from spark_jobs.extractor.keras_models import build, to_openvino


@dataclass(frozen=True, eq=False)
class Network:
    """A network at one input size, on one thread."""

    size: tuple[int, int]
    _request: Any

    @classmethod
    def of(cls, architecture: Architecture, weights: str, size: tuple[int, int]) -> "Network":
        """Build it; see `spark_jobs.extractor.keras_models.build`."""
        model_xml, model_bin = to_openvino(build(architecture, weights, Look((size,))), (size,))
        core = OpenVINOEngine.library().Core()
        model = OpenVINOEngine.embedding_alone(core.read_model(model_xml, model_bin))
        model.reshape([1, size[1], size[0], 3])
        return cls(size, core.compile_model(model, "CPU", OpenVINOEngine.settings(threads=1)).create_infer_request())

    def means(self, photos: Sequence[Pixels]) -> FloatArray:
        """Mean over all places, of shape (n, dimension), of photos of shape (height, width, 3)."""
        rows = [self._request.infer({0: np.ascontiguousarray(photo[np.newaxis])})[0][0].copy() for photo in photos]
        return np.stack(rows) if rows else np.zeros((0, self._request.model_outputs[0].shape[1]), np.float32)


def merge(look: Look, means: Sequence[FloatArray]) -> FloatArray:
    """Make embeddings of the means of each view and side that a look has."""
    if look.feature == "sqrt":
        means = [np.sign(mean) * np.sqrt(np.abs(mean)) for mean in means]
    return np.asarray(np.mean(means, axis=0), dtype=np.float32)
