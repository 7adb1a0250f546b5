"""Twins: photos that show nearly the same, and folds of a cross-validation that keep them together.

Shots of one burst are as good as one photo: a classifier that learnt from one of them and is judged by another is
judged by what it knows. Two photos of a label are near twins where their embeddings are near than `NEAR`, or where
their names say that they are of one series. Augmented photos are twins of what they are made of, and tell nothing else.
"""

import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spark_jobs.exact.augmented import is_augmented, origin

NEAR = 0.58
"""Squared distance, as `comparable` has photos, below which they are near twins; the mean one of a label's photos is 1.

Measured (`python -m benchmarks.near_twins`) on shop photos, whose official parts to learn from and to judge share no
burst: here a cross-validation says what they say, with each of several networks, and some 27 points more where nearly
nothing counts as a twin.
"""

_NEAR_MERGED = {1: NEAR, 2: 0.55, 3: 0.53}  # by views: the mean of several tells shots of a burst apart less

FOLDS = 5
BLOCK = 2000  # photos of a label that are compared with each other: neighbours by their names, where bursts stand
_SECONDS = 10  # between two shots of a series

_TIMED = re.compile(r"(?<!\d)((?:19|20)\d{6})[-_T. ]?(\d{6})")
# What cameras, phones and people put behind the name of a photo that has brothers: bursts, edited ones, copies.
_BROTHER = re.compile(
    r"[-_ ]*(?:burst[-_ ]?\d*(?:[-_ ]?cover)?|\(\d+\)|~\d+|copy(?:[-_ ]?\d+)?|kopie|copie|edited|bearbeitet|hdr)$",
    re.IGNORECASE,
)


def threshold(views: int) -> float:
    """Return `NEAR` for an extractor that merges so many views; more than three were not measured."""
    return _NEAR_MERGED[min(max(views, 1), max(_NEAR_MERGED))]


def comparable(embeddings: NDArray[np.float32], feature: str | None = None) -> NDArray[np.float64]:
    """Make embeddings comparable: their square roots, each photo's scaled to length 1.

    Networks differ in how few large numbers decide their distances; among square roots one threshold does for all.
    A photo has the same twins then whether or not its extractor takes square roots itself.

    Parameters
    ----------
    embeddings : ndarray of shape (n, dimension)
    feature : str, optional
        ``sqrt`` where they are square roots already.

    Returns
    -------
    ndarray of shape (n, dimension)
    """
    x = embeddings.astype(np.float64)
    if feature != "sqrt":
        x = np.sign(x) * np.sqrt(np.abs(x))
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(lengths > 0, lengths, 1.0))


def scatter(photos: NDArray[np.float64]) -> float:
    """Sum of squared distances of a label's photos to their mean."""
    return float(np.sum((photos - photos.mean(axis=0)) ** 2))


def squared_scale(scatter_trace: float, count: int, labels: int) -> float:
    """Mean squared distance of two photos of one label: twice the variance within labels, over all numbers.

    Parameters
    ----------
    scatter_trace : float
        Trace of the scatter pooled within labels: the sum of squared distances to the mean of the own label.
    count, labels : int
        Photos and labels that it is of.
    """
    return 2 * scatter_trace / (count - labels) if count > labels else 0.0


def groups(uris: Sequence[str], photos: NDArray[np.float64], scale: float, near: float = NEAR) -> NDArray[np.int64]:
    """Group the near twins among photos of one label, by single linkage; augmented ones by their names alone.

    Parameters
    ----------
    uris : sequence of str, length n
    photos : ndarray of shape (n, dimension)
        See `comparable`.
    scale : float
        See `squared_scale`.
    near : float
        See `NEAR`.

    Returns
    -------
    ndarray of shape (n,)
        Equal numbers for photos of one group.
    """
    x = photos - photos.mean(axis=0)  # so that the differences below keep their digits
    squares = np.einsum("ij,ij->i", x, x)
    alike = squares[:, None] + squares - 2 * (x @ x.T) <= near * scale
    made = np.array([is_augmented(uri) for uri in uris], bool)
    rows, columns = np.nonzero(np.triu(alike & ~(made[:, None] | made), 1))
    brothers = _series(uris)
    links = np.concatenate([np.stack([rows, columns], axis=1), np.asarray(brothers, np.int64).reshape(-1, 2)])
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(x), len(x)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def by_name(uri: str) -> tuple[str, str]:
    """Sort key of the order in which photos of a label are cut into blocks, so that brothers stand together."""
    return uri.rpartition("/")[2], uri


def folds(label: str, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal a label's groups out to the folds, the largest first, each to the fold that has fewest of its photos.

    Labels begin at different folds, so that the folds are of one size even where labels have a photo or two.
    """
    start = zlib.crc32(label.encode("utf-8", "surrogatepass")) % FOLDS
    sizes, held = np.bincount(numbers), np.zeros(FOLDS, np.int64)
    fold_of = np.zeros(len(sizes), np.int64)
    for number in np.argsort(-sizes, kind="stable"):
        fold_of[number] = min(range(FOLDS), key=lambda fold: (held[fold], (fold - start) % FOLDS))
        held[fold_of[number]] += sizes[number]
    return fold_of[numbers]


def _series(uris: Sequence[str]) -> list[tuple[int, int]]:
    """Pair photos with the one before them of their series, as far as their names tell."""
    pairs: list[tuple[int, int]] = []
    first: dict[tuple[str, str], int] = {}
    named: dict[str, list[int]] = {}
    made: list[tuple[str, int]] = []
    timed: list[tuple[datetime, int]] = []
    for number, uri in enumerate(uris):
        folder, _, name = unquote(uri).rpartition("/")
        of = origin(name)
        stem = _stem(of or name)
        if of is not None:
            made.append((stem, number))
            continue
        named.setdefault(stem, []).append(number)
        known = first.setdefault((folder, stem), number)
        if known != number:
            pairs.append((known, number))
        if found := _TIMED.search(stem):
            try:
                timed.append((datetime.strptime("".join(found.groups()), "%Y%m%d%H%M%S"), number))
            except ValueError:  # digits that are no date
                continue
    timed.sort()
    pairs += [
        (one, other) for (then, one), (later, other) in pairwise(timed) if (later - then).total_seconds() <= _SECONDS
    ]
    # What an augmented photo is made of stands in another folder: it belongs to all that have the name.
    for stem, number in made:
        pairs += [(number, other) for other in named.setdefault(stem, [number])]
    return pairs


def _stem(name: str) -> str:
    """Return what the photos of a series share of their names."""
    stem = name.rpartition(".")[0] or name
    while (shorter := _BROTHER.sub("", stem)) and shorter != stem:
        stem = shorter
    return stem.casefold()
