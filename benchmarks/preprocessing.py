"""What preprocessing does to speed and accuracy: each variant beside photos that are only resized, on the same folds.

    python -m benchmarks.preprocessing

Prints docs/recognition.md's table, and with --write puts it there. A variant is offered if it helps beyond chance on
one of the data sets.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.data_sets import DEFAULT as DATA
from benchmarks.data_sets import DataSet, data_sets
from benchmarks.variants import VARIANTS
from benchmarks.workload import ROOT, default_weights
from local.docs import between
from spark_jobs.exact import crossvalidation
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT, OFFLINE
from spark_jobs.extractor.looks import Network
from spark_jobs.measuring.seen import Seen, see

PAGE = ROOT / "docs" / "recognition.md"
BEGIN = "<!-- `python -m benchmarks.preprocessing --write` makes this table -->\n"
NETWORKS = (DEFAULT, OFFLINE)
_Z = 1.959964


@dataclass(frozen=True)
class Gain:
    """How many more answers are right than before, in points of a hundred, and the 95% interval of that."""

    points: float
    low: float
    high: float

    @classmethod
    def of(cls, before: NDArray[np.bool_], after: NDArray[np.bool_], groups: NDArray[np.int64]) -> "Gain":
        """Compare answers to the same photos; photos of one group are right or wrong together.

        The variance is that of `spark_jobs.exact.accuracy.Accuracy`: the ratio estimator's of cluster sampling.
        """
        more = after.astype(float) - before
        mean = float(more.mean())
        sums = np.bincount(np.unique(groups, return_inverse=True)[1], more - mean)
        half = _Z * sqrt(float(sums @ sums)) / len(more)
        return cls(*(100 * one for one in (mean, mean - half, mean + half)))

    def __str__(self) -> str:
        """Write it down, in bold if it is beyond chance."""
        text = f"{self.points:+.1f} ({self.low:+.1f} to {self.high:+.1f})"
        return f"**{text}**" if self.low > 0 or self.high < 0 else text


@dataclass(frozen=True, eq=False)
class Answers:
    """What was right of photos that were judged by folds and of unseen ones, and how long a photo took to decode."""

    by_folds: NDArray[np.bool_]
    groups: NDArray[np.int64]  # of near twins among those judged by folds
    unseen: NDArray[np.bool_]
    milliseconds: float

    @classmethod
    def of(cls, learnt: Seen, unseen: Seen, division: crossvalidation.Division) -> "Answers":
        embeddings = learnt.means[0]
        known, right = crossvalidation.answers(learnt.labels, embeddings, division)
        best = Recogniser.fit(Moments.of(embeddings, learnt.labels)).best(unseen.means[0])
        named = best == np.asarray(unseen.labels, dtype=object)
        return cls(right[known], division.groups[known], named, 1000 * learnt.decode_seconds)


def cells(network: Network, data_set: DataSet) -> Iterator[tuple[str, list[str]]]:
    """Measure all variants on a data set: their names and cells of the table."""
    before = division = groups = None
    for name, decode in VARIANTS.items():
        learnt, unseen = (see(network, sample, decode) for sample in (data_set.learnt, data_set.unseen))
        if before is None or division is None or groups is None:
            # The folds are those of photos as they are, for all variants: so answers can be compared one by one.
            division = crossvalidation.divide(learnt.uris, learnt.labels, learnt.means[0])
            groups = crossvalidation.divide(unseen.uris, unseen.labels, unseen.means[0]).groups
            before = Answers.of(learnt, unseen, division)
            shares = [f"{one.mean():.1%}" for one in (before.by_folds, before.unseen)]
            yield name, [f"{before.milliseconds:.1f}", *shares]
            continue
        after = Answers.of(learnt, unseen, division)
        gains = Gain.of(before.by_folds, after.by_folds, before.groups), Gain.of(before.unseen, after.unseen, groups)
        yield name, [f"{after.milliseconds:.1f}", *map(str, gains)]


def rows(name: str, weights: str, sets: Sequence[DataSet]) -> list[list[str]]:
    """Measure a network on all data sets: the cells of its rows."""
    architecture = ARCHITECTURES[name]
    network = Network.of(architecture, weights, architecture.input_size)
    made = {variant: [f"`{name}`", variant] for variant in VARIANTS}
    for data_set in sets:
        for variant, found in cells(network, data_set):
            made[variant] += found
            print(f"{name}, {data_set.name}: {variant}: {', '.join(found)}", flush=True)
    return list(made.values())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preprocessing", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"networks (default: {' and '.join(NETWORKS)})")
    parser.add_argument("--weights", default=default_weights(), help=f"of {DEFAULT} (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="fruits-360 and grocery-store")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}, too")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.names if name not in ARCHITECTURES]:
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(ARCHITECTURES)}")
    sets = data_sets(args.data)
    head = ["network", "preprocessing"]
    head += [cell for one in sets for cell in (f"{one.name}: ms a photo", "by folds", "unseen")]
    lines = [head, ["---"] * len(head)]
    for name in args.names or NETWORKS:
        lines += rows(name, args.weights if name == DEFAULT else "imagenet", sets)
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    print(f"\n{table}")
    if args.write:
        PAGE.write_text(between(PAGE, BEGIN, table), "utf-8")


if __name__ == "__main__":
    main()
