"""Calibration: how sure an answer may be, and how far a photo may be from all that is known.

Both are learnt from photos that the recogniser judging them had not seen: the folds of `spark_jobs.exact.twins`. What
is kept of them adds up, so that the photos of many days count together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.exact.distance import Distance
from spark_jobs.exact.recogniser import USUAL_TEMPERATURE, Recogniser, softmax

TEMPERATURES = np.geomspace(0.001, 1.0, 61)  # in spreads: see `Recogniser.spread`
DISTANCES = np.geomspace(0.01, 10_000.0, 241)  # where the counted ranges of distances end
FAMILIAR = 0.99  # share of the lake's photos that are no farther than what is still answered
_ENOUGH = 100  # photos of which one in a hundred can be told
_USUALLY = 20  # photos that the usual temperature counts for


@dataclass(frozen=True, eq=False)
class Calibration:
    """What recognisers said of photos that they had not seen.

    Attributes
    ----------
    judged, right : int
        Photos, and of how many the most probable label was right.
    certainties : ndarray of shape (61,), float64
        Sum of the probabilities of the most probable labels at each of `TEMPERATURES`.
    distances : ndarray of shape (242,), int64
        Photos by their distance to the nearest label: below the first of `DISTANCES`, between them, beyond the last.
    """

    judged: int
    right: int
    certainties: NDArray[np.float64]
    distances: NDArray[np.int64]

    @classmethod
    def none(cls) -> "Calibration":
        """Of no photo."""
        return cls(0, 0, np.zeros(len(TEMPERATURES)), np.zeros(len(DISTANCES) + 1, np.int64))

    @classmethod
    def of(
        cls, judge: Recogniser, distance: Distance, labels: NDArray[np.object_], embeddings: NDArray[np.float32]
    ) -> "Calibration":
        """Of photos whose labels a recogniser knows, which had not seen them."""
        scores = judge.scores(embeddings)
        right = np.asarray(judge.labels, dtype=object)[scores.argmax(axis=1)] == labels
        certainties = [softmax(scores / judge.at(one).temperature).max(axis=1).sum() for one in TEMPERATURES]
        at = np.searchsorted(DISTANCES, distance.to_nearest(embeddings))
        return cls(len(labels), int(right.sum()), np.array(certainties), np.bincount(at, minlength=len(DISTANCES) + 1))

    def __add__(self, other: "Calibration") -> "Calibration":
        return Calibration(
            self.judged + other.judged,
            self.right + other.right,
            self.certainties + other.certainties,
            self.distances + other.distances,
        )

    @property
    def temperature(self) -> float:
        """The temperature, in spreads, at which answers are on average as sure as they are right.

        A model is then calibrated in the large (Guo et al. 2017 scale by one temperature, too, but minimise the log
        likelihood, which the few photos that are far off decide). The fewer photos, the nearer it is to the usual one.
        """
        if not self.judged:
            return USUAL_TEMPERATURE
        sure = self.certainties / self.judged  # falls as the temperature rises
        found = np.interp(-self.right / self.judged, -sure, np.log(TEMPERATURES))
        usual = np.log(USUAL_TEMPERATURE)
        return float(np.exp(usual + (found - usual) * self.judged / (self.judged + _USUALLY)))

    @property
    def far(self) -> float | None:
        """The distance that `FAMILIAR` of the photos do not exceed; None while there are too few to tell."""
        if self.judged < _ENOUGH:
            return None
        at = int(np.searchsorted(np.cumsum(self.distances), FAMILIAR * self.judged))
        return float(DISTANCES[at]) if at < len(DISTANCES) else None
