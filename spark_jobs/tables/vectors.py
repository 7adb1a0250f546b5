"""Vectors in Arrow: columns of equally long lists, seen as matrices and made from them; columns of flags."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def matrix(column: pa.ListArray) -> NDArray[np.float32]:
    """View a column of equally long lists as an ndarray of shape (rows, length)."""
    values = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float32).reshape(len(column), -1)


def lists(rows: NDArray[np.float32]) -> pa.ListArray:
    """Make a column of lists of an ndarray of shape (rows, length)."""
    offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.ravel()))


def flags(batch: pa.RecordBatch, column: str) -> NDArray[np.bool_]:
    """Return a column of booleans, none of them null, as an ndarray."""
    return np.asarray(batch[column].to_numpy(zero_copy_only=False), np.bool_)
