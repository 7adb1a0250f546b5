"""Recogniser: a linear discriminant classifier fitted from moments, in one solve.

Fisher's linear discriminant with a shrunk pooled covariance: what scikit-learn calls
``LinearDiscriminantAnalysis(solver="lsqr", shrinkage=...)``, without a pass over the embeddings.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from spark_jobs.exact.moments import Moments

_SINGULAR = 1e-10  # share of a feature's variance that rounding alone may leave unexplained


@dataclass(frozen=True, eq=False)
class Recogniser:
    """Scores are ``embedding @ weights.T + biases``; their softmax is the probability of each label.

    Attributes
    ----------
    labels : tuple of str, length n_labels
    weights : ndarray of shape (n_labels, dimension), float64
    biases : ndarray of shape (n_labels,), float64
    shrinkage : float
        Share of the identity (times the mean variance) in the covariance, in [0, 1].
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    biases: NDArray[np.float64]
    shrinkage: float

    @classmethod
    def fit(cls, moments: Moments, shrinkage: float | None = None) -> "Recogniser":
        """Fit from moments alone; the default shrinkage is `oracle_shrinkage`.

        Raises
        ------
        ValueError
            Without any embedding, or when the covariance is singular and shrinkage is 0.
        """
        if not moments.count:
            raise ValueError("A recogniser needs at least one embedding, got none.")
        if shrinkage is None:
            shrinkage = oracle_shrinkage(moments)
        covariance = (1 - shrinkage) * moments.scatter / moments.count
        mean_variance = np.trace(moments.scatter) / moments.count / moments.dimension
        # One photo a label leaves no scatter at all: then the nearest mean decides, in units of 1.
        covariance[np.diag_indices_from(covariance)] += shrinkage * mean_variance if mean_variance > 0 else 1.0
        try:
            if shrinkage == 0 and mean_variance > 0 and moments.count - len(moments.labels) < moments.dimension:
                raise LinAlgError("fewer embeddings than numbers")  # rounding might hide it
            weights = cho_solve(_factor(covariance), moments.means.T).T
        except LinAlgError as error:
            raise ValueError(
                f"{moments.count} embeddings of {moments.dimension} numbers have a singular covariance, "
                f"and shrinkage {shrinkage} leaves it so: use --shrinkage auto, or more than {shrinkage}."
            ) from error
        biases = -0.5 * np.einsum("ij,ij->i", weights, moments.means) + np.log(moments.counts / moments.count)
        return cls(moments.labels, weights, biases, float(shrinkage))

    def probabilities(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities of shape (n, n_labels) for embeddings of shape (n, dimension)."""
        scores = embeddings.astype(np.float64) @ self.weights.T + self.biases
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    def best(self, embeddings: NDArray[np.float32]) -> NDArray[np.object_]:
        """Return the most probable label of each embedding."""
        scores = embeddings.astype(np.float64) @ self.weights.T + self.biases
        return np.asarray(np.asarray(self.labels, dtype=object)[scores.argmax(axis=1)])


def _factor(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Factorise by Cholesky; a singular matrix raises LinAlgError also where rounding makes its pivots positive."""
    lower, _ = cho_factor(covariance, lower=True)
    # A pivot over its variance is the share of a feature that no other feature explains.
    unexplained = np.diag(lower) ** 2 / np.diag(covariance)
    if unexplained.min() < _SINGULAR:
        raise LinAlgError("singular to working precision")
    return lower, True


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
