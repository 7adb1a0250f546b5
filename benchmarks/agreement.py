"""Whether contenders that are compared for speed compute the same."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.job import Embeddings

_SAME = 0.99999
OTHER_PIXELS = ("ray", "daft")  # as documented: each with a resize of its own
OTHERS = ("int8", "bare-int8", *OTHER_PIXELS)


def check(embeddings: dict[str, Embeddings]) -> str:
    """Compare each contender's embeddings with the notebook's, or with the first one's."""
    reference = "notebook" if "notebook" in embeddings else next(iter(embeddings))
    lines = []
    for contender, mine in embeddings.items():
        if contender == reference:
            continue
        if mine.keys() != embeddings[reference].keys():
            lines.append(f"  DIFFERENT  {contender} embedded {len(mine)} photos, {reference} other ones")
            continue
        found = cosines(mine, embeddings[reference])
        verdict = "another extractor" if contender in OTHERS else "agrees" if found.min() >= _SAME else "DIFFERENT"
        lines.append(
            f"{verdict:>17}  {contender} and {reference}: cosine at least {found.min():.6f}, median "
            f"{np.median(found):.6f}, of {len(mine):,} photos"
        )
    return "\n".join(lines)


def cosines(one: Embeddings, other: Embeddings) -> NDArray[np.float64]:
    a, b = (np.stack([side[photo] for photo in sorted(side)]).astype(np.float64) for side in (one, other))
    cosine: NDArray[np.float64] = np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return cosine
