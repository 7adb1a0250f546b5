"""What the tables of a lake hold, and what NumPy makes of the same embeddings."""

from typing import Any

import numpy as np

from spark_jobs.exact.moments import Moments
from tests.e2e.house import LakeUnderTest


def contents(lake: LakeUnderTest, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Read columns of a table, sorted; a duplicate shows."""
    return sorted(tuple(row[column] for column in columns) for row in lake.table(table).to_pylist())


def vectors(lake: LakeUnderTest, table: str, column: str) -> np.ndarray:
    """Read a table's vectors in float64, in the order of the uris."""
    rows = lake.table(table).sort_by("uri")
    return np.array(rows[column].to_pylist(), np.float64)


def newest(lake: LakeUnderTest, table: str) -> dict[str, Any]:
    """Read the row that was made last."""
    return max(lake.table(table).to_pylist(), key=lambda row: row["created_at"])


def assert_as_from_scratch(lake: LakeUnderTest, components: int | None = None) -> None:
    """Check the newest sums and the newest basis against all embeddings present, by other means.

    Parameters
    ----------
    components : int, optional
        How many the basis is to have.
    """
    labels = np.array(lake.table("embeddings").sort_by("uri")["label"].to_pylist())
    x = vectors(lake, "embeddings", "embedding")
    total = Moments.unpack(newest(lake, "moments")["total"])
    names, counts = np.unique(labels, return_counts=True)
    assert total.labels == tuple(names)
    assert list(total.counts) == list(counts)
    np.testing.assert_allclose(total.means, [x[labels == name].mean(axis=0) for name in names], rtol=1e-10, atol=1e-12)

    basis = newest(lake, "bases")
    axes, mean, eigenvalues = (np.array(basis[name]) for name in ("components", "mean", "eigenvalues"))
    centred = x - x.mean(axis=0)
    # The scatter between photos has the same eigenvalues as the one between features, and is smaller.
    expected = np.linalg.eigvalsh(centred @ centred.T / (len(x) - 1))[::-1]
    assert basis["count"] == len(x)
    assert components is None or len(axes) == components
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(eigenvalues[: len(axes)], expected[: len(axes)], rtol=1e-8)
    np.testing.assert_allclose(axes @ axes.T, np.eye(len(axes)), atol=1e-10)
    turned = centred.T @ (centred @ axes.T) / (len(x) - 1)
    np.testing.assert_allclose(turned, axes.T * eigenvalues[: len(axes)], atol=1e-8 * eigenvalues[0])

    assert set(lake.table("coordinates")["basis_id"].to_pylist()) == {basis["basis_id"]}
    scale = np.sqrt(eigenvalues[0])
    np.testing.assert_allclose(vectors(lake, "coordinates", "coordinates"), centred @ axes.T, atol=1e-5 * scale)
