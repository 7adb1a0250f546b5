"""Moments: the sufficient statistics of a set of labelled embeddings, which add up exactly.

The law of the house: ``Moments.of(a) + Moments.of(b) == Moments.of(a and b)``, up to rounding, in any order and any
split. A PCA (`basis`) and a linear discriminant classifier (`recogniser`) follow from moments alone. There is no
subtraction on purpose: taking off what was added once loses digits each time, so what left the lake is summed anew.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack

_SCHEMA = pa.schema(
    [
        ("dimension", pa.int64()),
        ("labels", pa.list_(pa.string())),
        ("counts", pa.list_(pa.int64())),
        ("means", pa.list_(pa.float64())),
        ("scatter_upper", pa.list_(pa.float64())),  # row by row; empty where there is a factor
        ("scatter_factor", pa.list_(pa.float64())),  # of shape (rank, dimension): scatter = factor.T @ factor
    ]
)


@dataclass(frozen=True, eq=False)
class Moments:
    """Count and mean of each label, and the scatter pooled within labels.

    Attributes
    ----------
    labels : tuple of str, length n_labels
        In ascending order, each once.
    counts : ndarray of shape (n_labels,), int64
    means : ndarray of shape (n_labels, dimension), float64
    scatter : ndarray of shape (dimension, dimension), float64
        Sum over all embeddings of the outer product of (embedding - mean of its label) with itself.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    means: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @classmethod
    def empty(cls, dimension: int) -> "Moments":
        """Return the neutral element of ``+``."""
        return cls((), np.zeros(0, np.int64), np.zeros((0, dimension)), np.zeros((dimension, dimension)))

    @classmethod
    def of(cls, embeddings: ArrayLike, labels: Sequence[str]) -> "Moments":
        """Compute the moments of embeddings of shape (n, dimension), in two passes: mean first, then scatter."""
        x = np.asarray(embeddings, np.float64)
        if not len(x):
            return cls.empty(x.shape[1])
        names, index = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
        counts = np.bincount(index, minlength=len(names)).astype(np.int64)
        order = np.argsort(index, kind="stable")
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        means = np.add.reduceat(x[order], starts, axis=0) / counts[:, None]
        centred = x - means[index]
        return cls(tuple(map(str, names)), counts, means, centred.T @ centred)

    def __add__(self, other: "Moments") -> "Moments":
        """Merge, by Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm", eq. 2.1."""
        if self.dimension != other.dimension:
            raise ValueError(f"Moments of {self.dimension} and of {other.dimension} numbers cannot be added.")
        labels = tuple(sorted({*self.labels, *other.labels}))
        (n, mean_n), (m, mean_m) = self._aligned(labels), other._aligned(labels)
        both = n + m
        shift = mean_m - mean_n
        means = mean_n + shift * (m / both)[:, None]
        spread = shift * np.sqrt(n * m / both)[:, None]
        return Moments(labels, both, means, self.scatter + other.scatter + spread.T @ spread)

    def _aligned(self, labels: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Order counts and means as `labels`; a label that is not there counts 0."""
        counts, means = np.zeros(len(labels), np.int64), np.zeros((len(labels), self.dimension))
        at = np.searchsorted(np.asarray(labels, dtype=object), np.asarray(self.labels, dtype=object))
        counts[at], means[at] = self.counts, self.means
        return counts, means

    @property
    def dimension(self) -> int:
        return len(self.scatter)

    @property
    def count(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """Mean of all embeddings, of shape (dimension,)."""
        if not self.count:
            return np.zeros(self.dimension)
        return np.asarray(self.counts @ self.means / self.count)

    @cached_property
    def covariance(self) -> NDArray[np.float64]:
        """Sample covariance (divided by count - 1) of all embeddings, of shape (dimension, dimension)."""
        if self.count < 2:
            raise ValueError(f"A covariance needs at least 2 embeddings, got {self.count}.")
        spread = (self.means - self.mean) * np.sqrt(self.counts)[:, None]
        return (self.scatter + spread.T @ spread) / (self.count - 1)

    @property
    def varies(self) -> bool:
        """Whether the embeddings differ, as a PCA needs."""
        return self.count > 1 and bool(np.any(np.diag(self.covariance) > 0))

    def pack(self) -> bytes:
        """Serialise as an Arrow IPC stream of one row: 10 kB a photo with 1,280 numbers, 6.6 MB at most.

        The scatter of few photos has a low rank, and is kept as a factor; that of many by its upper triangle.
        """
        rank = self.count - len(self.labels)
        few = rank < self.dimension / 2
        factor = _factor(self.scatter, rank) if few else np.zeros(0)
        upper = np.zeros(0) if few else self.scatter[np.triu_indices(self.dimension)]
        columns = [
            [self.dimension],
            [list(self.labels)],
            [self.counts],
            [self.means.ravel()],
            [upper],
            [factor.ravel()],
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _SCHEMA) as writer:
            writer.write_batch(pa.record_batch(arrays, schema=_SCHEMA))
        return bytes(sink.getvalue())

    @classmethod
    def unpack(cls, packed: bytes) -> "Moments":
        """Read what `pack` wrote, in this version or an earlier one, which knew no factor."""
        row = pa.ipc.open_stream(packed).read_all()
        dimension = row["dimension"][0].as_py()
        labels = tuple(row["labels"][0].as_py())
        counts, means, upper = (row[name].chunk(0).values.to_numpy() for name in ("counts", "means", "scatter_upper"))
        if len(upper):
            scatter = np.zeros((dimension, dimension))
            scatter[np.triu_indices(dimension)] = upper
            scatter += np.triu(scatter, 1).T
        else:
            factor = row["scatter_factor"].chunk(0).values.to_numpy().reshape(-1, dimension)
            scatter = factor.T @ factor
        return cls(labels, counts, means.reshape(len(labels), dimension), scatter)


def _factor(scatter: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """Factorise a positive semidefinite matrix, of that rank or less, by Cholesky with pivoting."""
    if not scatter.any():
        return np.zeros((0, len(scatter)))
    # Without a tolerance, which goes by the largest variance: the smallest keep their digits, too.
    factor, pivots, found, _ = lapack.dpstrf(scatter, tol=0.0, lower=0)
    unpivoted = np.zeros((min(found, rank), len(scatter)))
    unpivoted[:, pivots - 1] = np.triu(factor)[: len(unpivoted)]
    return unpivoted


def moments_id(packed: bytes) -> str:
    """Name packed moments by their content, so that a total can say which ones it covers.

    No longer than what Iceberg keeps of a string as a bound, from which it is read.
    """
    return hashlib.sha256(packed).hexdigest()[:16]
