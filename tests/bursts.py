"""Embeddings of photos as people take them: in bursts, shots of which are nearly alike."""

import numpy as np
from numpy.typing import NDArray

DIMENSION = 64


def bursts(
    labels: int, bursts: int, shots: int, apart: float, seed: int = 0
) -> tuple[list[str], list[str], NDArray[np.float32]]:
    """Draw uris, labels and embeddings: bursts vary by 1 within a label, the means of labels by `apart`."""
    rng = np.random.default_rng(seed)
    uris, names, rows = [], [], []
    for label in range(labels):
        mean = rng.standard_normal(DIMENSION) * apart
        for burst in range(bursts):
            middle = mean + rng.standard_normal(DIMENSION)
            for shot in range(shots):
                uris.append(f"file:///photos/label-{label}/burst-{burst}-{shot:02}.jpg")
                names.append(f"label-{label}")
                rows.append(middle + 0.05 * rng.standard_normal(DIMENSION))
    return uris, names, np.array(rows, np.float32).reshape(-1, DIMENSION)
