"""int8 artefacts: quantise an f32 artefact after training, and say what that costs.

Belongs to `spark_jobs.export_extractor`. Quantising needs photos like those to be embedded, to find the range of
every activation; measuring needs others, as a quantised network fits the photos that it was calibrated with best.
"""

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor, ExtractorError, FloatArray
from spark_jobs.extractor.engines import OpenVINOEngine, Pixels, Views, decode, open_engine
from spark_jobs.extractor.keras_models import serialise

CALIBRATION = 300
MEASURING = 480
SHRINKAGE = 0.05  # as in the lake's recogniser

# Measured: CPUs with VNNI or AMX agree to the last bit, and those without agree with each other, but between the two
# kinds the cosine is 0.98 on the test image and down to 0.91 on photos, as sums of two products saturate at 16 bits
# without VNNI. So a node without it must refuse. NNCF's OverflowFix.ENABLE makes all CPUs agree (1 - 1e-7), but leaves
# 7 bits to the weights: the median cosine to Keras falls from 0.995 to 0.966, and recognition by up to 3 points.
INT8_TOLERANCE = 0.9999
INT8_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Photos:
    """Decoded photos, in an order that takes from all labels in turn."""

    pixels: list[Views]  # n photos, as the extractor takes them
    labels: NDArray[np.str_]  # ndarray of shape (n,)
    rounds: NDArray[np.int64]  # ndarray of shape (n,): the how-manieth of its label

    def __getitem__(self, part: slice) -> "Photos":
        return Photos(self.pixels[part], self.labels[part], self.rounds[part])


def read(folder: Path, extractor: Extractor, most: int = CALIBRATION + MEASURING) -> Photos:
    """Read up to `most` photos of a folder, evenly over its labels; the same folder gives the same photos.

    Raises
    ------
    ExtractorError
        If there is no photo.
    """
    # By the hash of the name, as neighbours in a folder tend to show the same fruit from almost the same side.
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file()),
        key=lambda path: hashlib.sha256(str(path.relative_to(folder)).encode()).digest(),
    )
    seen: Counter[str] = Counter()
    in_turn = []
    for path in files:
        in_turn.append((seen[path.parent.name], path.parent.name, path))
        seen[path.parent.name] += 1
    pixels: list[Views] = []
    labels, rounds = [], []
    for number, label, path in sorted(in_turn):
        if len(pixels) == most:
            break
        try:
            pixels.append(decode(path.read_bytes(), extractor))
        except photos.PhotoError:
            continue
        labels.append(label)
        rounds.append(number)
    if not pixels:
        raise ExtractorError(f"No photo to calibrate with in {folder} ({len(files)} files); expected JPEG or PNG files")
    return Photos(pixels, np.array(labels), np.array(rounds))


def split(sample: Photos) -> tuple[Photos, Photos]:
    """Part photos into those to calibrate with, two thirds and 300 at most, and those to measure with."""
    calibration = min(CALIBRATION, -(-len(sample.pixels) * 2 // 3))
    return sample[:calibration], sample[calibration:]


def quantise(extractor: Extractor, calibration: Photos) -> Extractor:
    """Quantise an f32 artefact to int8.

    Parameters
    ----------
    extractor : Extractor
        f32.
    calibration : Photos
        Photos like those to be embedded; 300 are enough.
    """
    openvino = OpenVINOEngine.library()
    import nncf

    model = openvino.Core().read_model(extractor.model_xml, extractor.model_bin)
    quantised = nncf.quantize(
        model,
        nncf.Dataset(calibration.pixels, _inputs),
        preset=nncf.QuantizationPreset.MIXED,
        fast_bias_correction=False,  # slower here, and more accurate
        subset_size=len(calibration.pixels),
    )
    model_xml, model_bin = serialise(quantised)
    # Of what the embedding is computed with, as before artefacts held maps: so ids stay.
    decisive = serialise(OpenVINOEngine.embedding_alone(quantised))[1]
    int8 = replace(
        extractor,
        spec=replace(
            extractor.spec,
            precision="int8",
            quantised_sha256=hashlib.sha256(decisive).hexdigest(),
            tolerance=INT8_TOLERANCE,
            norm_tolerance=INT8_NORM_TOLERANCE,
            versions={**extractor.spec.versions, "nncf": version("nncf")},
        ),
        model_xml=model_xml,
        model_bin=model_bin,
        model_keras=None,
    )
    test = decode(extractor.test_image, extractor)
    int8 = replace(int8, test_embedding=OpenVINOEngine(int8).embed([test])[0])
    open_engine(int8)
    return int8


def compare(f32: Extractor, int8: Extractor, model: Any, measuring: Photos) -> str:
    """Measure both artefacts on photos that int8 was not calibrated with, and give a table to print."""
    if not len(measuring.pixels):
        return "int8 is not measured: there was one photo only, and it went into the calibration"
    chunks = _chunks(measuring.pixels)
    inputs = [[np.stack(view).astype(np.float32) for view in zip(*map(_tuple, chunk), strict=True)] for chunk in chunks]
    reference = np.concatenate([model(one if len(one) > 1 else one[0], training=False)[0] for one in inputs])
    engines = {extractor.precision: open_engine(extractor) for extractor in (f32, int8)}
    embeddings: dict[str, list[FloatArray]] = {name: [] for name in engines}
    rates: dict[str, list[float]] = {name: [] for name in engines}
    for chunk in _chunks(measuring.pixels):
        for name, engine in engines.items():  # in turn, as other work on the machine slows both then
            start = time.perf_counter()
            embeddings[name].append(engine.embed(chunk))
            rates[name].append(len(chunk) / (time.perf_counter() - start))
    lines = [f"{len(measuring.pixels)} photos that int8 was not calibrated with; one thread"]
    lines.append("precision  cosine to Keras: min, median  recognition  photos/s     MB")
    for name, extractor in (("f32", f32), ("int8", int8)):
        found = np.concatenate(embeddings[name])
        cosines = np.sum(found * reference, axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(reference, axis=1)
        accuracy = recognition(found, measuring)
        lines.append(
            f"{name:9}  {cosines.min():20.6f}, {np.median(cosines):.6f}  "
            f"{'      (n/a)' if accuracy is None else f'{accuracy:11.1%}'}  {np.median(rates[name]):8.0f}  "
            f"{len(extractor.model_bin) / 1e6:5.1f}"
        )
    return "\n".join(lines)


def recognition(embeddings: FloatArray, measuring: Photos) -> float | None:
    """Measure the share of photos that a linear discriminant recognises, fitted on one half of them, both ways.

    Returns
    -------
    float or None
        The share of right answers; None where there are too few labels, or too few photos of them.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    even = measuring.rounds % 2 == 0
    shared = np.intersect1d(measuring.labels[even], measuring.labels[~even])
    known = np.isin(measuring.labels, shared)
    if len(shared) < 2 or min(np.sum(known & even), np.sum(known & ~even)) <= len(shared):
        return None
    right = []
    for fitted in (even, ~even):
        discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE)
        discriminant.fit(embeddings[known & fitted], measuring.labels[known & fitted])
        right.extend(discriminant.predict(embeddings[known & ~fitted]) == measuring.labels[known & ~fitted])
    return float(np.mean(right))


def _tuple(photo: Views) -> tuple[Pixels, ...]:
    return photo if isinstance(photo, tuple) else (photo,)


def _inputs(photo: Views) -> dict[int, Pixels]:
    """Make of a photo what OpenVINO takes, for each input of the model."""
    return {number: view[np.newaxis] for number, view in enumerate(_tuple(photo))}


def _chunks(pixels: list[Views]) -> list[list[Views]]:
    return [pixels[start : start + 16] for start in range(0, len(pixels), 16)]
