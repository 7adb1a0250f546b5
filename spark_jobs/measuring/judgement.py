"""Judgement: how often photos are recognised, by folds that keep near twins together and on those of another sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spark_jobs.exact import crossvalidation, twins
from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.exact.augmented import is_augmented
from spark_jobs.exact.crossvalidation import Division
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor.architectures import Look
from spark_jobs.measuring.seen import Seen, embeddings


@dataclass(frozen=True)
class Judgement:
    """What embeddings are good for.

    Attributes
    ----------
    folds : Accuracy
        Of the cross-validation.
    near_twins : int
        Photos that have a near twin among the others.
    unseen : float or None
        Share of right answers of a recogniser of all these photos, on photos of its labels of another sample.
    unseen_judged : int
        How many these are: neither augmented nor of other labels.
    """

    folds: Accuracy
    near_twins: int
    unseen: float | None = None
    unseen_judged: int = 0


def divide(seen: Seen) -> Division:
    """Divide photos by what a network sees of them at its usual size: as step 2 does, and the same for all looks.

    Of several views, and of larger ones, near twins are told by another measure than the threshold is one of.
    """
    return crossvalidation.divide(seen.uris, seen.labels, seen.means[0])


def judge(
    look: Look,
    views: Sequence[Seen],
    unseen: Sequence[Seen] = (),
    shrinkage: float | None = None,
    division: Division | None = None,
) -> Judgement:
    """Judge a look by what was seen at each of its views, of one sample and, to judge by what it knows, of another.

    Parameters
    ----------
    unseen : sequence of Seen
        Judged are its photos of the labels that the first sample has.
    division : Division, optional
        Default: of the look's own embeddings, as in a lake.
    """
    uris, labels, found = views[0].uris, views[0].labels, embeddings(look, views)
    if division is None:
        division = crossvalidation.divide(uris, labels, found, look.feature, twins.threshold(len(look.views)))
    share, count = None, 0
    if unseen:
        names, known = np.asarray(unseen[0].labels, dtype=object), set(labels)
        here = np.array([name in known for name in names]) & ~np.array([is_augmented(uri) for uri in unseen[0].uris])
        if count := int(here.sum()):
            best = Recogniser.fit(Moments.of(found, labels), shrinkage).best(embeddings(look, unseen))
            share = float(np.mean((best == names)[here]))
    return Judgement(crossvalidation.judge(labels, found, division, shrinkage), division.near_twins, share, count)
