"""Recogniser: a linear discriminant classifier fitted from moments, in one solve.

Fisher's linear discriminant with a shrunk pooled covariance: what scikit-learn calls
``LinearDiscriminantAnalysis(solver="lsqr", shrinkage=...)``, without a pass over the embeddings.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from spark_jobs.exact.moments import Moments

USUAL_TEMPERATURE = 0.055
"""In spreads: what the folds of photos of shops and of Fruits-360 give, from 0.05 to 0.1 with any network."""

_SINGULAR = 1e-10  # share of a feature's variance that rounding alone may leave unexplained


@dataclass(frozen=True, eq=False)
class Recogniser:
    """Scores are ``embedding @ weights.T + biases``; their softmax at a temperature is the probability of each label.

    Attributes
    ----------
    labels : tuple of str, length n_labels
    weights : ndarray of shape (n_labels, dimension), float64
    biases : ndarray of shape (n_labels,), float64
    shrinkage : float
        Share of the identity (times the mean variance) in the covariance, in [0, 1].
    temperature : float
        What scores are divided by: see `spark_jobs.exact.calibration`. At 1 probabilities are those of Gaussian data,
        of which photos are far from; then nearly every answer is sure.
    spread : float
        How far labels lie apart in scores: the mean score that a label's mean has for its own label above that of all
        embeddings' mean. The fewer photos a recogniser is of, the larger are its scores, and its spread with them.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    biases: NDArray[np.float64]
    shrinkage: float
    temperature: float = 1.0
    spread: float = 1.0

    @classmethod
    def fit(cls, moments: Moments, shrinkage: float | None = None) -> "Recogniser":
        """Fit from moments alone, at the usual temperature; the default shrinkage is `oracle_shrinkage`.

        Raises
        ------
        ValueError
            Without any embedding, or when the covariance is singular and shrinkage is 0.
        """
        if not moments.count:
            raise ValueError("A recogniser needs at least one embedding, got none.")
        if shrinkage is None:
            shrinkage = oracle_shrinkage(moments)
        covariance = shrunk_covariance(moments, shrinkage)
        try:
            if shrinkage == 0 and moments.scatter.any() and moments.count - len(moments.labels) < moments.dimension:
                raise LinAlgError("fewer embeddings than numbers")  # rounding might hide it
            weights = cho_solve(_factor(covariance), moments.means.T).T
        except LinAlgError as error:
            raise ValueError(
                f"{moments.count} embeddings of {moments.dimension} numbers have a singular covariance, "
                f"and shrinkage {shrinkage} leaves it so: use --shrinkage auto, or more than {shrinkage}."
            ) from error
        biases = -0.5 * np.einsum("ij,ij->i", weights, moments.means) + np.log(moments.counts / moments.count)
        shares = moments.counts / moments.count
        apart = np.einsum("ij,ij->i", weights - shares @ weights, moments.means - shares @ moments.means)
        fitted = cls(moments.labels, weights, biases, float(shrinkage), spread=float(shares @ apart))
        return fitted.at(USUAL_TEMPERATURE)

    def at(self, temperature: float) -> "Recogniser":
        """Return it at a temperature in spreads, at 1 at least: surer than of Gaussian data no answer may be."""
        return replace(self, temperature=max(temperature * self.spread, 1.0))

    def scores(self, embeddings: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of shape (n, n_labels) for embeddings of shape (n, dimension)."""
        return np.asarray(embeddings.astype(np.float64) @ self.weights.T + self.biases)

    def probabilities(self, embeddings: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of shape (n, n_labels) for embeddings of shape (n, dimension)."""
        return softmax(self.scores(embeddings) / self.temperature)

    def best(self, embeddings: NDArray[np.float32]) -> NDArray[np.object_]:
        """Return the most probable label of each embedding."""
        return np.asarray(np.asarray(self.labels, dtype=object)[self.scores(embeddings).argmax(axis=1)])


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of shape (n, n_labels), each row's sum 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def shrunk_covariance(moments: Moments, shrinkage: float) -> NDArray[np.float64]:
    """Pooled covariance within labels, of shape (dimension, dimension), with a share of the identity."""
    covariance = (1 - shrinkage) * moments.scatter / moments.count
    mean_variance = np.trace(moments.scatter) / moments.count / moments.dimension
    # One photo a label leaves no scatter at all: then the nearest mean decides, in units of 1.
    covariance[np.diag_indices_from(covariance)] += shrinkage * mean_variance if mean_variance > 0 else 1.0
    return np.asarray(covariance)


def _factor(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Factorise by Cholesky; a singular matrix raises LinAlgError also where rounding makes its pivots positive."""
    lower, _ = cho_factor(covariance, lower=True)
    # A pivot over its variance is the share of a feature that no other feature explains.
    unexplained = np.diag(lower) ** 2 / np.diag(covariance)
    if unexplained.min() < _SINGULAR:
        raise LinAlgError("singular to working precision")
    return lower, True


def read_shrinkage(share: str) -> float | None:
    """Read the option ``--shrinkage``: a share in [0, 1], or ``auto``, which is None.

    Raises
    ------
    ValueError
        With what was given, and what was expected.
    """
    if share == "auto":
        return None
    try:
        found = float(share)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:  # nor NaN
        raise ValueError(f"--shrinkage: expected auto or a share in [0, 1], got {share!r}.")
    return found


def oracle_shrinkage(moments: Moments) -> float:
    """Choose the shrinkage from the moments: the oracle approximating shrinkage of Chen et al. (2010), eq. 23.

    It minimises the expected squared error of the covariance for Gaussian data. It was chosen over cross-validation
    and over Ledoit and Wolf's because it needs nothing but the pooled covariance, the count and the dimension: so
    the recogniser stays a function of the photos present, whatever their history.
    """
    if moments.count < 2:
        return 1.0
    n, p = moments.count, moments.dimension
    covariance = moments.scatter / n
    # As scikit-learn writes it (sklearn.covariance.oas), where the factors p of numerator and denominator cancel.
    alpha = np.mean(covariance**2)
    mu_squared = (np.trace(covariance) / p) ** 2
    denominator = (n + 1) * (alpha - mu_squared / p)
    return 1.0 if denominator <= 0 else float(min((alpha + mu_squared) / denominator, 1.0))
