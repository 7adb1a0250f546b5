"""Cross-validation in one process: how often photos are recognised that were not learnt from, near twins kept together.

What step 2 does with Spark and with a lake, for a folder of photos: to choose an extractor by, and to check Spark's by.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from spark_jobs.exact import twins
from spark_jobs.exact.accuracy import Accuracy, Judged
from spark_jobs.exact.calibration import Calibration
from spark_jobs.exact.distance import Distance
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser


@dataclass(frozen=True)
class Division:
    """Photos in groups of near twins, and folds that keep groups together.

    Attributes
    ----------
    groups, folds : ndarray of shape (n,), int64
        Groups of one label have numbers of their own.
    """

    groups: NDArray[np.int64]
    folds: NDArray[np.int64]

    @property
    def near_twins(self) -> int:
        """Photos that have a near twin among the others."""
        return int(np.sum(np.bincount(self.groups)[self.groups] > 1)) if len(self.groups) else 0


def divide(
    uris: Sequence[str],
    labels: Sequence[str],
    embeddings: NDArray[np.float32],
    feature: str | None = None,
    near: float = twins.NEAR,
) -> Division:
    """Divide photos as step 2 divides those of a first run, in blocks of a label in the order of the uris."""
    photos = twins.comparable(embeddings, feature)
    blocks: defaultdict[str, list[int]] = defaultdict(list)
    for number in sorted(range(len(uris)), key=lambda number: uris[number]):
        blocks[labels[number]].append(number)
    parts = [
        (label, at[first : first + twins.BLOCK])
        for label, at in blocks.items()
        for first in range(0, len(at), twins.BLOCK)
    ]
    spread = sum(twins.scatter(photos[at]) for _, at in parts)
    scale = twins.squared_scale(spread, len(uris), len(parts))
    groups, folds, seen = np.zeros(len(uris), np.int64), np.zeros(len(uris), np.int64), 0
    for label, at in parts:
        found = twins.groups([uris[i] for i in at], photos[at], scale, near)
        groups[at], folds[at] = found + seen, twins.folds(label, found)
        seen += int(found.max()) + 1
    return Division(groups, folds)


def answers(
    labels: Sequence[str], embeddings: NDArray[np.float32], division: Division, shrinkage: float | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Let a recogniser of the other folds name each photo: which labels it knew, and which photos it named rightly."""
    names = np.asarray(labels, dtype=object)
    folds = [Moments.of(embeddings[division.folds == i], names[division.folds == i]) for i in range(twins.FOLDS)]
    known, right = np.zeros((2, len(names)), bool)
    for number in range(twins.FOLDS):
        here = division.folds == number
        moments = reduce(Moments.__add__, (fold for i, fold in enumerate(folds) if i != number))
        if here.any() and len(moments.labels) > 1:
            recogniser = Recogniser.fit(moments, shrinkage)
            known[here] = np.isin(names[here], np.asarray(recogniser.labels, dtype=object))
            right[here] = recogniser.best(embeddings[here]) == names[here]
    return known, right


def judge(
    labels: Sequence[str], embeddings: NDArray[np.float32], division: Division, shrinkage: float | None = None
) -> Accuracy:
    """Judge each photo by a recogniser of the other folds; not those whose label the other folds lack."""
    known, right = answers(labels, embeddings, division, shrinkage)
    counts: defaultdict[tuple[str, int], list[bool]] = defaultdict(list)
    for at in np.flatnonzero(known):
        counts[labels[int(at)], int(division.groups[at])].append(bool(right[at]))
    return Accuracy.of(Judged(label, len(found), sum(found)) for (label, _), found in counts.items())


def calibrate(
    labels: Sequence[str], embeddings: NDArray[np.float32], division: Division, shrinkage: float | None = None
) -> Calibration:
    """Learn how sure answers may be, as step 2 does: from the photos that `judge` judges, and by the same."""
    names, found = np.asarray(labels, dtype=object), Calibration.none()
    for number in range(twins.FOLDS):
        here = division.folds == number
        rest = Moments.of(embeddings[~here], names[~here])
        if here.any() and len(rest.labels) > 1:
            judge = Recogniser.fit(rest, shrinkage)
            here &= np.isin(names, np.asarray(judge.labels, dtype=object))
            found += Calibration.of(judge, Distance.of(rest, judge.shrinkage), names[here], embeddings[here])
    return found
