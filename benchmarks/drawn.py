"""Drawn: photos of 8 x 8 pixels of noise around their label's colours, and a network of one matrix that embeds them.

For benchmarks of what comes before and after the network: hours of decoding and inference are left out.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor, Spec
from spark_jobs.extractor.engines import OpenVINOEngine

LABELS = 24
DIMENSION = 1280
_SIDE = 8


class Photos:
    """A folder that photos come to, change in and go from, as a generator of random numbers says."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder, self._rng = folder, rng
        self._means = rng.uniform(60, 200, (LABELS, _SIDE, _SIDE, 3))
        self._there: list[Path] = []

    def __len__(self) -> int:
        return len(self._there)

    def day(self, added: int, changed: int, deleted: int) -> list[Path]:
        """Let a day pass; return the photos that came."""
        for _ in range(min(deleted, len(self._there))):
            self._there.pop(int(self._rng.integers(len(self._there)))).unlink()
        for number in self._rng.choice(len(self._there), min(changed, len(self._there)), replace=False):
            self._write(self._there[number])
        first = time.time_ns()
        for number in range(added):
            path = self.folder / f"label {self._rng.integers(LABELS):02}" / f"{first}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path)
            self._there.append(path)
        return self._there[len(self._there) - added :]

    def _write(self, path: Path) -> None:
        mean = self._means[int(path.parent.name.split()[1])]
        pixels = np.clip(mean + self._rng.normal(0, 40, mean.shape), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)


def _matrix() -> NDArray[np.float32]:
    size = 3 * _SIDE**2
    return np.random.default_rng(0).normal(0, 1 / _SIDE, (size, DIMENSION)).astype(np.float32)


def embeddings(paths: Sequence[Path]) -> NDArray[np.float32]:
    """Embed photos as the network does, up to rounding, without starting it."""
    seen = np.stack([photos.decode(path.read_bytes(), (_SIDE, _SIDE)).ravel() for path in paths])
    return np.maximum(seen.astype(np.float32) / 255 @ _matrix(), 0)


def artefact(folder: Path) -> Path:
    """Write an artefact of the network, 1,280 numbers of 192."""
    openvino = OpenVINOEngine.library()
    from openvino import opset13 as op

    matrix = _matrix()
    pixels = op.parameter([-1, _SIDE, _SIDE, 3], np.uint8)
    flat = op.reshape(op.divide(op.convert(pixels, "f32"), op.constant(255, np.float32)), [-1, len(matrix)], False)
    model = openvino.Model([op.relu(op.matmul(flat, op.constant(matrix), False, False))], [pixels], "drawn")
    openvino.serialize(model, folder / "model.xml", folder / "model.bin")
    xml, weights = ((folder / f"model.{suffix}").read_bytes() for suffix in ("xml", "bin"))
    test_image = folder / "test.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)).save(test_image)
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
    extractor = Extractor(spec, xml, weights, None, test_image.read_bytes(), embeddings([test_image])[0])
    path = folder / f"{extractor.extractor_id}.zip"
    path.write_bytes(extractor.to_bytes())
    return path
