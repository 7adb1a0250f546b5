"""Families: labels of one parent, whose probabilities add up, such as all varieties of apple."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Families:
    """The parents of a recogniser's labels.

    Attributes
    ----------
    parents : tuple of str, length n_parents
    membership : ndarray of shape (n_labels, n_parents), float64
        1 where a label is of a parent, else 0.
    """

    parents: tuple[str, ...]
    membership: NDArray[np.float64]

    @classmethod
    def of(cls, labels: Sequence[str], parents: Mapping[str, str]) -> "Families":
        """Gather labels; one that has no parent is its own."""
        each = [parents.get(label, label) for label in labels]
        names = sorted(set(each))
        return cls(tuple(names), (np.asarray(each, dtype=object)[:, None] == np.asarray(names, dtype=object)) * 1.0)

    def probabilities(self, of_labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up probabilities of shape (n, n_labels) to (n, n_parents)."""
        return of_labels @ self.membership

    def best(self, of_labels: NDArray[np.float64]) -> NDArray[np.object_]:
        """Return the most probable parent of each row."""
        return np.asarray(np.asarray(self.parents, dtype=object)[self.probabilities(of_labels).argmax(axis=1)])
