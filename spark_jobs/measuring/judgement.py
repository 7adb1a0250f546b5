"""Judgement: how often photos are recognised, by folds that keep near twins together and on those of another sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spark_jobs.exact import crossvalidation
from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.exact.augmented import is_augmented
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
        Share of right answers of a recogniser of all these photos, on photos of another sample.
    """

    folds: Accuracy
    near_twins: int
    unseen: float | None = None


def judge(look: Look, views: Sequence[Seen], unseen: Sequence[Seen] = (), shrinkage: float | None = None) -> Judgement:
    """Judge a look by what was seen at each of its views, of one sample and, to judge by what it knows, of another."""
    uris, labels, found = views[0].uris, views[0].labels, embeddings(look, views)
    division = crossvalidation.divide(uris, labels, found, look.feature)
    share = None
    if unseen:
        best = Recogniser.fit(Moments.of(found, labels), shrinkage).best(embeddings(look, unseen))
        taken = np.array([not is_augmented(uri) for uri in unseen[0].uris])
        share = float(np.mean((best == np.asarray(unseen[0].labels, dtype=object))[taken]))
    return Judgement(crossvalidation.judge(labels, found, division, shrinkage), division.near_twins, share)
