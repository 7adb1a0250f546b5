"""Cross-validation in one process: how often photos are recognised that were not learnt from, near twins kept together.

What step 2 does with Spark and with a lake, for a folder of photos: to choose an extractor by, and to check Spark's by.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from spark_jobs.exact import twins
from spark_jobs.exact.accuracy import Accuracy, Judged
from spark_jobs.exact.augmented import is_augmented
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
    taken : ndarray of shape (n,), bool
        Photos that are to be judged: all but the augmented ones.
    """

    groups: NDArray[np.int64]
    folds: NDArray[np.int64]
    taken: NDArray[np.bool_]

    @property
    def near_twins(self) -> int:
        """Photos that have a near twin among the others, augmented ones aside."""
        groups = self.groups[self.taken]
        return int(np.sum(np.bincount(groups)[groups] > 1)) if len(groups) else 0


def divide(
    uris: Sequence[str],
    labels: Sequence[str],
    embeddings: NDArray[np.float32],
    feature: str | None = None,
    near: float = twins.NEAR,
) -> Division:
    """Divide photos as step 2 divides those of a first run, in blocks of a label in the order of their names."""
    photos = twins.comparable(embeddings, feature)
    blocks: defaultdict[str, list[int]] = defaultdict(list)
    for number in sorted(range(len(uris)), key=lambda number: twins.by_name(uris[number])):
        blocks[labels[number]].append(number)
    parts = [
        (label, np.asarray(at[first : first + twins.BLOCK]))
        for label, at in blocks.items()
        for first in range(0, len(at), twins.BLOCK)
    ]
    taken = np.array([not is_augmented(uri) for uri in uris], bool)
    told_by = [at[taken[at]] for _, at in parts if taken[at].any()]
    spread = sum(twins.scatter(photos[at]) for at in told_by)
    scale = twins.squared_scale(spread, int(taken.sum()), len(told_by))
    groups, folds, seen = np.zeros(len(uris), np.int64), np.zeros(len(uris), np.int64), 0
    for label, at in parts:
        found = twins.groups([uris[i] for i in at], photos[at], scale, near)
        groups[at], folds[at] = found + seen, twins.folds(label, found)
        seen += int(found.max()) + 1
    return Division(groups, folds, taken)


def answers(
    labels: Sequence[str], embeddings: NDArray[np.float32], division: Division, shrinkage: float | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Let a recogniser of the other folds name each photo: which labels it knew, and which photos it named rightly."""
    names = np.asarray(labels, dtype=object)
    known, right = np.zeros((2, len(names)), bool)
    for here, _, recogniser in _judges(names, embeddings, division, shrinkage):
        known[here] = True
        right[here] = recogniser.best(embeddings[here]) == names[here]
    return known, right


def _judges(
    names: NDArray[np.object_], embeddings: NDArray[np.float32], division: Division, shrinkage: float | None
) -> Iterator[tuple[NDArray[np.bool_], Moments, Recogniser]]:
    """Fit each fold's judge, of the moments of all others, and find which photos of the fold it can judge."""
    folds = [Moments.of(embeddings[division.folds == i], names[division.folds == i]) for i in range(twins.FOLDS)]
    for number in range(twins.FOLDS):
        here = division.taken & (division.folds == number)
        moments = reduce(Moments.__add__, (fold for i, fold in enumerate(folds) if i != number))
        if here.any() and len(moments.labels) > 1:
            recogniser = Recogniser.fit(moments, shrinkage)
            yield here & np.isin(names, np.asarray(recogniser.labels, dtype=object)), moments, recogniser


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
    for here, rest, judge in _judges(names, embeddings, division, shrinkage):
        found += Calibration.of(judge, Distance.of(rest, judge.shrinkage), names[here], embeddings[here])
    return found
