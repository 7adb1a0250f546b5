"""Seen: what a network makes of a sample at one view, and how long it takes; several views are put together of these.

Each network sees a photo once a view. What features, mirror and several views make of that is arithmetic.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import Look
from spark_jobs.extractor.artefact import FloatArray
from spark_jobs.extractor.engines import Pixels
from spark_jobs.extractor.looks import Network, merge
from spark_jobs.measuring.sample import Sample

_STEP = 32  # photos that are decoded at once

Decode = Callable[[bytes, tuple[int, int]], Pixels]
"""From a photo's bytes and a width and height to the pixels; raises `photos.PhotoError`."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network made of photos at one view: means over all places, as they are and mirrored.

    Attributes
    ----------
    uris, labels : tuple of str, length n
        Of the photos that could be read.
    means : list of ndarray of shape (n, dimension), float32
        One, or two with the mirrored photos'.
    decode_seconds, embed_seconds : float
        CPU time a photo, on one thread: the median over steps of some photos. `embed_seconds` is without the mirrored
        ones.
    """

    uris: tuple[str, ...]
    labels: tuple[str, ...]
    means: list[FloatArray]
    decode_seconds: float
    embed_seconds: float


def see(network: Network, sample: Sample, decode: Decode = photos.decode, *, mirror: bool = False) -> Seen:
    """Show a network all photos."""
    readable: list[int] = []
    means: list[list[FloatArray]] = [[], []]
    decoding, embedding = [0.0], [0.0]
    for first in range(0, len(sample.files), _STEP):
        began = time.process_time()
        pixels = []
        for number in range(first, min(first + _STEP, len(sample.files))):
            try:
                pixels.append(decode(sample.files[number].read_bytes(), network.size))
            except photos.PhotoError:
                continue
            readable.append(number)
        decoded = time.process_time()
        means[0].append(network.means(pixels))
        if pixels:
            decoding.append((decoded - began) / len(pixels))
            embedding.append((time.process_time() - decoded) / len(pixels))
        if mirror:
            means[1].append(network.means([view[:, ::-1] for view in pixels]))
    return Seen(
        tuple(sample.files[i].absolute().as_uri() for i in readable),
        tuple(sample.labels[i] for i in readable),
        [np.concatenate(side) for side in means if side],
        statistics.median(decoding[1:] or decoding),
        statistics.median(embedding[1:] or embedding),
    )


def embeddings(look: Look, views: Sequence[Seen]) -> FloatArray:
    """Put the embeddings of a look together, of what was seen at each of its views."""
    return merge(look, [mean for view in views for mean in (view.means if look.mirror else view.means[:1])])


def rate(look: Look, views: Sequence[Seen]) -> float:
    """Photos a second of CPU time, on one core: a photo is decoded once for all its views."""
    embedding = sum(view.embed_seconds for view in views) * (2 if look.mirror else 1)
    return 1 / (max(view.decode_seconds for view in views) + embedding)
