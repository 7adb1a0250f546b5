"""Growth: what one more batch costs a PCA of 20,000 embeddings, against scikit-learn.

Ours adds the batch's moments to the total and fits the basis from the sum; IncrementalPCA merges the batch into its
components; from scratch reads all embeddings again. Times alternate, in one process, with NumPy's threads as they are.
"""

import argparse
import copy
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.exact.basis import Basis, Request
from spark_jobs.exact.moments import Moments

_COMPONENTS = 100


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--embeddings", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    print(measure(args.embeddings, args.batch, args.rounds))


def measure(count: int = 20_000, batch: int = 500, rounds: int = 3) -> str:
    """Measure, and give the table."""
    from sklearn.decomposition import PCA, IncrementalPCA

    x, labels = synthetic(count)
    start = count - batch
    total = Moments.of(x[:start], labels[:start])
    incremental = IncrementalPCA(n_components=_COMPONENTS)
    for first in range(0, start, batch):
        incremental.partial_fit(x[first : min(first + batch, start)])

    def fold() -> Moments:
        return total + Moments.of(x[start:], labels[start:])

    def ours() -> Any:
        return Basis.fit(fold(), Request(components=_COMPONENTS, variance=None)).eigenvalues

    def ours_scaled() -> Any:
        return Basis.fit(fold(), Request(components=_COMPONENTS, variance=None, standardize=True)).eigenvalues

    def theirs() -> Any:
        return copy.deepcopy(incremental).partial_fit(x[start:]).explained_variance_

    def scratch() -> Any:
        return PCA(_COMPONENTS, svd_solver="covariance_eigh").fit(x.astype(np.float64)).explained_variance_

    runs: dict[str, Callable[[], Any]] = {
        "moments folded, basis kept": fold,
        "moments folded, basis fitted": ours,
        "the same, standardised": ours_scaled,
        "IncrementalPCA, one partial_fit": theirs,
        "PCA from scratch (covariance_eigh)": scratch,
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    exact = scratch()
    lines = [f"One more batch of {batch:,} on {start:,} embeddings of {x.shape[1]}: medians of {rounds} rounds"]
    lines += [
        f"{name:>34}  {median(found):7.3f} s  ({min(found):.3f}..{max(found):.3f})" for name, found in seconds.items()
    ]
    for name, values in (("ours", ours()), ("IncrementalPCA", theirs())):
        off = np.max(np.abs(values[:_COMPONENTS] / exact - 1))
        lines.append(f"{name:>34}: variances at most {off:.1e} off those from scratch")
    return "\n".join(lines)


def synthetic(count: int, dimension: int = 1280, labels: int = 24) -> tuple[NDArray[np.float32], list[str]]:
    """Make embeddings as a CNN's: not negative, a mean a label, a few strong directions and many weak ones."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, labels, count)
    strength = 1 / np.sqrt(1 + np.arange(200))
    directions = rng.standard_normal((200, dimension)).astype(np.float32) * strength[:, None].astype(np.float32)
    x = rng.standard_normal((labels, dimension)).astype(np.float32)[label]
    x += rng.standard_normal((count, 200)).astype(np.float32) @ directions
    x += 0.3 * rng.standard_normal((count, dimension)).astype(np.float32)
    return np.maximum(x, 0), [f"label {number:02}" for number in label]


if __name__ == "__main__":
    main()
