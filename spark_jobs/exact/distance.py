"""Distance: how far photos are from what the labels' photos look like, in units in which those vary alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import shrunk_covariance


@dataclass(frozen=True, eq=False)
class Distance:
    """Squared Mahalanobis distances to labels' means, a number of the embedding: 1 is usual for Gaussian data.

    Lee et al. (2018) tell by it what a network was not trained on.

    Attributes
    ----------
    centre : ndarray of shape (dimension,), float64
        Mean of all embeddings.
    whitening : ndarray of shape (dimension, dimension), float32
        In float32, as a recogniser a fold goes to each worker with it.
    means : ndarray of shape (n_labels, dimension), float64
        Of the labels, centred and whitened.
    """

    centre: NDArray[np.float64]
    whitening: NDArray[np.float32]
    means: NDArray[np.float64]

    @classmethod
    def of(cls, moments: Moments, shrinkage: float) -> "Distance":
        """Make it of moments, and of the shrinkage of their recogniser."""
        lower = cholesky(shrunk_covariance(moments, shrinkage), lower=True)
        whitening = solve_triangular(lower, np.eye(moments.dimension), lower=True).T.astype(np.float32)
        centre = moments.counts @ moments.means / moments.count
        return cls(centre, whitening, (moments.means - centre) @ whitening)

    def to_nearest(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distances of shape (n,) of embeddings of shape (n, dimension) to the nearest label."""
        x = ((embeddings - self.centre).astype(np.float32) @ self.whitening).astype(np.float64)
        squares = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", self.means, self.means)
        return np.asarray((squares - 2 * x @ self.means.T).min(axis=1).clip(min=0.0) / x.shape[1])
