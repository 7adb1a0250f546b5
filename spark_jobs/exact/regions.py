"""Regions: where in a photo there is what the lake knows, from the network's maps; NumPy alone, and nothing learnt.

The embedding of a photo is the mean of a map, so that of a window is the mean of the map over the window: one pass of
the network gives all of them. What is no fruit is told by the photo itself, whose mean stands for its background, as
one more label of a linear discriminant. Not for outlines, nor for fruit in heaps: a box is some windows' mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser, shrunk_covariance, softmax

Array = NDArray[np.float64]
Boxes = NDArray[np.float64]  # of shape (n, 4): left, top, right and bottom, as shares of the photo's width and height

MOST: Final = 10
TIMES: Final = (3, 4)
"""By how much larger than for its embedding the network sees a photo, one map each: so that fruit of a quarter of its
width is as large as the lake's photos are."""

# Measured by `python -m benchmarks.scenes` on scenes of Fruits-360's Training, half of it learnt (docs/recognition.md).
_STEPS: Final = 7  # a window's places: so many to a side of the network's input
_SIDES: Final = ((5, 5), (6, 6), (7, 7), (8, 8), (9, 9), (5, 7), (7, 5), (6, 8), (8, 6), (7, 9), (9, 7))  # in steps
_SHRINKAGE: Final = 0.7  # windows differ from photos in many ways that the lake's photos do not differ in
_LEAST: Final = 0.39  # of the way from the photo's mean to the label's
_LIKE: Final = 4.0  # times the lake's mean squared distance of a photo to its label's mean
_PEAKS: Final = 25
_OVERLAP: Final = 0.4  # of two peaks: the share of the smaller one that lies in the other
_REGIONS_OVERLAP: Final = 0.2  # of two regions
_VOTE: Final = 0.7  # those windows vote on a box that have so much of its peak's score,
_NEAR: Final = 0.4  # and share so much of the union with it
_NOTHING: Final = 1e-12  # in place of a way that has no length


@dataclass(frozen=True)
class Region:
    """A box, and what is in it; left, top, right and bottom are shares of the photo's width and height."""

    label: str
    probability: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Finder:
    """What finds regions: a linear discriminant of a lake, to which each photo adds its background.

    Attributes
    ----------
    recogniser : Recogniser
    means : ndarray of shape (n_labels, dimension), float64
    factor : ndarray of shape (dimension, dimension), float64
        Cholesky's, of the covariance.
    usual : float
        Mean squared distance of the lake's photos to their label's mean, in units of the covariance.
    feature : str or None
        ``sqrt``, or nothing, as the artefact says.
    """

    recogniser: Recogniser
    means: Array
    factor: Array
    usual: float
    feature: str | None = None

    @classmethod
    def of(cls, moments: Moments, feature: str | None = None) -> "Finder":
        """Make it of the moments of a whole lake, which has a photo."""
        within = moments.scatter / moments.count
        factor = cho_factor(shrunk_covariance(moments, _SHRINKAGE), lower=True)[0]
        usual = float(np.trace(cho_solve((factor, True), within)))
        return cls(Recogniser.fit(moments, _SHRINKAGE), moments.means, factor, usual, feature)

    def is_usual(self, embedding: NDArray[np.float32]) -> bool:
        """Whether a photo is as near to a label as the lake's photos are: then it shows what one of these shows."""
        return bool(self.distances(embedding[None].astype(np.float64))[0] <= _LIKE * self.usual)

    def whole(self, embedding: NDArray[np.float32]) -> Region:
        """Take a photo as one region."""
        return self._named((0.0, 0.0, 1.0, 1.0), embedding[None].astype(np.float64))

    def regions(self, levels: Iterable[Sequence[NDArray[np.float32]]]) -> list[Region]:
        """Find regions, the surest first; ten at most. `named` then names them better.

        Parameters
        ----------
        levels : iterable of length len(TIMES) of sequence of ndarray of shape (rows, columns, dimension)
            Maps at each of `TIMES`: of all views and sides.
        """
        boxes, seen, wholes = [], [], []
        for times, maps in zip(TIMES, levels, strict=True):
            at, steps = windows(times), times * _STEPS
            boxes.append(at / steps)
            seen.append(embeddings(maps, at, steps, self.feature))
            wholes.append(embeddings(maps, np.array([[0, 0, steps, steps]]), steps, self.feature)[0])
        return self._found(np.concatenate(boxes), np.concatenate(seen), np.mean(wholes, axis=0))

    def named(self, region: Region, looks: NDArray[np.float32]) -> Region:
        """Name a region anew by embeddings of its crop, of shape (n, dimension)."""
        return self._named(region.box, looks.astype(np.float64).mean(axis=0, keepdims=True))

    def _named(self, box: tuple[float, float, float, float], embedding: Array) -> Region:
        chances = self.recogniser.probabilities(embedding)[0]
        best = int(chances.argmax())
        return Region(self.recogniser.labels[best], float(chances[best]), box)

    def _found(self, boxes: Boxes, seen: Array, mean: Array) -> list[Region]:
        chances, scores = self.chances(seen), self.scores(seen, mean)
        found, peaks = [], suppress(boxes, scores, _PEAKS, _OVERLAP)
        peaks = [peak for peak in peaks if scores[peak] >= _LEAST]
        for peak in peaks:
            shared = _intersections(boxes[peak], boxes)
            near = shared >= _NEAR * (_areas(boxes[peak][None]) + _areas(boxes) - shared)
            voters = near & (scores >= _VOTE * scores[peak])
            box, said = (np.average(one[voters], axis=0, weights=scores[voters]) for one in (boxes, chances))
            best = int(said.argmax())
            found.append(Region(self.recogniser.labels[best], min(float(said[best]), 1.0), tuple(box.tolist())))
        at = np.array([one.box for one in found]).reshape(-1, 4)
        return [found[i] for i in suppress(at, scores[peaks], MOST, _REGIONS_OVERLAP)]

    def chances(self, seen: Array) -> Array:
        """Weights of votes, of shape (n, n_labels), of embeddings of shape (n, dimension): probabilities untempered."""
        return softmax(self.recogniser.scores(seen))

    def scores(self, seen: Array, background: Array) -> Array:
        """Say for each embedding how much of the way it has gone from the background's mean to its label's.

        Along the discriminant of the two, for the most probable label: 0 is the background, 1 the label's mean, and at
        0.5 a linear discriminant with equal priors takes the one for the other.
        """
        towards = self.recogniser.weights - cho_solve((self.factor, True), background)
        best = self.recogniser.scores(seen).argmax(axis=1)
        whole = np.einsum("ij,ij->i", towards, self.means - background)
        gone = np.take_along_axis((seen - background) @ towards.T, best[:, None], axis=1)[:, 0]
        return np.asarray(gone / np.maximum(whole[best], _NOTHING))

    def distances(self, seen: Array) -> Array:
        """Squared distance of embeddings to the nearest label's mean, in units of the covariance."""
        apart = seen[:, None] - self.means
        return np.asarray([np.min(np.sum(one * cho_solve((self.factor, True), one.T).T, axis=1)) for one in apart])


def windows(times: int) -> NDArray[np.int64]:
    """List the windows of a map: left, top, right and bottom in steps, of which ``times * 7`` make the photo's side."""
    steps = times * _STEPS
    found = [
        (left, top, left + width, top + height)
        for height, width in _SIDES
        for top in range(steps - height + 1)
        for left in range(steps - width + 1)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 4)


def embeddings(maps: Sequence[NDArray[np.float32]], boxes: NDArray[np.int64], steps: int, feature: str | None) -> Array:
    """Embed windows: the mean of each map over the window, what the feature makes of it, and the mean over the maps.

    So the window that is the whole photo has the photo's embedding.

    Parameters
    ----------
    boxes : ndarray of shape (n, 4)
        Left, top, right and bottom, in steps; a map may have more or fewer cells than there are steps.
    """
    left, top, right, bottom = boxes.T
    area = ((right - left) * (bottom - top) / steps**2)[:, None]
    total = np.zeros((len(boxes), maps[0].shape[2]))
    for cells in maps:
        sums = _integral(cells.astype(np.float64), steps)
        means = (sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]) / area
        total += np.sign(means) * np.sqrt(np.abs(means)) if feature == "sqrt" else means
    return total / len(maps)


def _integral(cells: Array, steps: int) -> Array:
    """Sum a map over all that lies above and to the left, at each step; all of it is the map's mean."""
    rows, columns, _ = cells.shape
    sums = np.zeros((rows + 1, columns + 1, cells.shape[2]))
    sums[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1) / (rows * columns)
    for axis, count in enumerate((rows, columns)):
        if count != steps:  # between two cells' edges a cell counts in part
            at = np.linspace(0, count, steps + 1)
            before = np.minimum(at.astype(int), count - 1)
            part = (at - before).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
            sums = sums.take(before, axis) * (1 - part) + sums.take(before + 1, axis) * part
    return sums


def suppress(boxes: Boxes, scores: Array, most: int, overlap: float) -> list[int]:
    """Choose boxes by their score, leaving out those that share too much with a chosen one.

    Parameters
    ----------
    overlap : float
        The greatest share of the smaller of two boxes that may lie in the other.

    Returns
    -------
    list of int
        Of the chosen ones, the best first; `most` at most.
    """
    areas, left_over = _areas(boxes), np.ones(len(boxes), dtype=bool)
    chosen: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if len(chosen) == most:
            break
        if left_over[i]:
            chosen.append(i)
            left_over &= _intersections(boxes[i], boxes) <= overlap * np.minimum(areas, areas[i])
    return chosen


def _areas(boxes: Boxes) -> Array:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _intersections(box: Array, boxes: Boxes) -> Array:
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    return np.asarray(np.clip(width, 0, None) * np.clip(height, 0, None))
