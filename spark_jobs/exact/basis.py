"""Basis: a PCA fitted from moments, with the rule by which it is kept or fitted anew.

It is the PCA of the exact covariance, by one eigendecomposition. Not for more than some thousands of numbers an
embedding: the covariance has their square.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spark_jobs.exact.moments import Moments

KEEP = 0.995  # a basis stays in use while it captures this share of what the best of its size would


@dataclass(frozen=True)
class Request:
    """What a user asks of a basis: a number of components or a share of the variance, and standardised or not.

    Attributes
    ----------
    components : int or None
        How many; fewer where fewer photos cannot span as many.
    variance : float or None
        As many as capture this share of the variance, in (0, 1].
    standardize : bool
        PCA of the features divided by their standard deviations.
    """

    components: int | None = None
    variance: float | None = 0.95
    standardize: bool = False

    def __post_init__(self) -> None:
        if (self.components is None) == (self.variance is None):
            raise ValueError(f"Give either components or variance, got {self.components} and {self.variance}.")
        if self.components is not None and self.components < 1:
            raise ValueError(f"components: expected at least 1, got {self.components}.")
        if self.variance is not None and not 0 < self.variance <= 1:
            raise ValueError(f"variance: expected a share in (0, 1], such as 0.95, got {self.variance}.")

    def size(self, eigenvalues: NDArray[np.float64], rank: int) -> int:
        """How many components answer the request, given all eigenvalues in descending order."""
        if self.components is not None:
            return min(self.components, rank)
        cumulative = np.cumsum(eigenvalues) / eigenvalues.sum()
        # 1e-12: a share of 1.0 must not miss its last component by rounding.
        return min(int(np.searchsorted(cumulative, self.variance - 1e-12)) + 1, rank)  # type: ignore[operator]


@dataclass(frozen=True, eq=False)
class Basis:
    """A fitted PCA.

    Attributes
    ----------
    mean, scale : ndarray of shape (dimension,), float64
        ``scale`` is 1 unless the features were standardised.
    components : ndarray of shape (n_components, dimension), float64
        Orthonormal rows, in descending order of variance.
    eigenvalues : ndarray of shape (dimension,), float64
        All of the covariance's (of the correlation's, when standardised), in descending order.
    count : int
        Embeddings it was fitted on.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    components: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    count: int

    @classmethod
    def fit(cls, moments: Moments, request: Request) -> "Basis":
        """Fit from moments alone; equals scikit-learn's PCA (and StandardScaler) on the embeddings themselves.

        Raises
        ------
        ValueError
            With fewer than 2 embeddings, or embeddings that are all the same.
        """
        covariance = moments.covariance
        # A feature that never varies keeps scale 1, as in scikit-learn's StandardScaler (which divides by count).
        deviation = np.sqrt(np.diag(covariance) * (moments.count - 1) / moments.count)
        scale = np.where(deviation > 0, deviation, 1.0) if request.standardize else np.ones(moments.dimension)
        values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
        if values[0] <= 0:
            raise ValueError(f"All {moments.count} embeddings are the same: there is no variance for a PCA.")
        rank = min(moments.count - 1, moments.dimension)
        components = _positive_peak(vectors[:, : request.size(values, rank)].T)
        return cls(moments.mean, scale, components, values, moments.count)

    @property
    def basis_id(self) -> str:
        """Name by content."""
        digest = hashlib.sha256()
        for array in (self.mean, self.scale, self.components):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    @property
    def explained(self) -> NDArray[np.float64]:
        """Share of the variance that each component explains, of shape (n_components,)."""
        return np.asarray(self.eigenvalues[: len(self.components)] / self.eigenvalues.sum())

    def project(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coordinates of shape (n, n_components), computed in float64, of embeddings of shape (n, dimension)."""
        return (((embeddings - self.mean) / self.scale) @ self.components.T).astype(np.float32)

    def aligned_with(self, other: "Basis") -> "Basis":
        """Flip axes so that each points the way of the axis of `other` that it resembles most.

        Only signs: a rotation within the subspace (Procrustes) would move coordinates less, but its axes would no
        longer be principal components, and the table of explained variance no longer theirs.
        """
        cosines = self.components @ other.components.T
        nearest = np.abs(cosines).argmax(axis=1)
        flip = cosines[np.arange(len(nearest)), nearest] < 0
        return replace(self, components=np.where(flip[:, None], -self.components, self.components))

    def captured(self, moments: Moments) -> tuple[float, float]:
        """How well this basis, fitted earlier, does on today's moments.

        Returns
        -------
        of_best : float
            Variance it captures, over what the best basis of the same size would, both in units of its scale.
        of_all : float
            Variance it captures, over all.
        """
        covariance = moments.covariance / np.outer(self.scale, self.scale)
        mine = np.einsum("ij,jk,ik->", self.components, covariance, self.components, optimize=True)
        best = np.linalg.eigvalsh(covariance)[-len(self.components) :].sum()
        return float(mine / best), float(mine / np.trace(covariance))


def why_refit(basis: Basis | None, fitted_for: Request | None, request: Request, moments: Moments) -> str | None:
    """Say why a new basis is needed under ``--refit auto``, or None where the one in use stays."""
    if basis is None:
        return "first basis"
    if fitted_for != request:
        return f"asked for {request}, the basis in use was fitted for {fitted_for}"
    if request.components is not None:
        possible = min(request.components, moments.count - 1, moments.dimension)
        if possible > len(basis.components):
            return (
                f"{moments.count} photos now span {possible} components, the basis in use has {len(basis.components)}"
            )
    of_best, of_all = basis.captured(moments)
    if of_best < KEEP:
        return f"it captures {of_best:.2%} of what the best of its size would, below {KEEP:.1%}"
    if request.variance is not None and of_all < KEEP * request.variance:
        return f"it captures {of_all:.2%} of the variance, {request.variance:.1%} were asked for"
    return None


def _positive_peak(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the entry of largest magnitude of each row positive, as scikit-learn's svd_flip does: a fixed sign."""
    peaks = components[np.arange(len(components)), np.abs(components).argmax(axis=1)]
    return components * np.where(peaks < 0, -1.0, 1.0)[:, None]
