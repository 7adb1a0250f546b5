"""Step 2: fold a run's embeddings into the moments, the basis, the coordinates and the recogniser of the whole lake.

Each table is brought up to date with `embeddings`, whoever left it behind; doing it again changes nothing.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.exact.basis import Request
from spark_jobs.exact.recogniser import read_shrinkage
from spark_jobs.exports import pictures
from spark_jobs.exports import plain_files as exports
from spark_jobs.running import shelf
from spark_jobs.running.outcome import Outcome
from spark_jobs.running.unmade import Unmade
from spark_jobs.tables import coordinates, recognisers, totals
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.location import REFUSALS, LakeLocation
from spark_jobs.tables.session import log_to_stderr, open_lake

_LOG = logging.getLogger("reduce")


@dataclass(frozen=True)
class Options:
    """What a user may choose of step 2; `add_options` describes each."""

    request: Request = field(default_factory=Request)
    refit: str = "auto"
    shrinkage: float | None = None  # None: chosen from the moments

    def to_json(self) -> str:
        """Say what decides the outcome, apart from whether it must be fitted anew."""
        return json.dumps({"request": asdict(self.request), "shrinkage": self.shrinkage}, sort_keys=True)


@dataclass(frozen=True)
class Reduced:
    """What step 2 did; of an empty lake nothing but zeros."""

    photos: int = 0
    labels: int = 0
    basis_id: str | None = None
    components: int = 0
    why: str | None = None
    captured_of_best: float | None = None
    captured: float | None = None
    projected: int = 0
    exported: int = 0
    shrinkage: float | None = None
    accuracy_before: Accuracy = field(default_factory=Accuracy)  # see `spark_jobs.tables.recognisers.Judgement`
    accuracy_folds: Accuracy = field(default_factory=Accuracy)
    accuracy_before_parent: Accuracy = field(default_factory=Accuracy)
    accuracy_folds_parent: Accuracy = field(default_factory=Accuracy)
    near_twins: int = 0
    augmented: int = 0
    worst: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    unmade: tuple[str, ...] = ()  # see `spark_jobs.running.unmade`


def reduce_run(lake: Lake, run_id: str, extractor_id: str, options: Options) -> Reduced:
    """Fold in a run in the lake's Spark session."""
    lake.create_tables("moments", "bases", "coordinates", "recognisers")
    feature, views = shelf.feature_and_views(lake.location.root, extractor_id)
    sums = totals.update(lake, run_id, extractor_id, feature, views)
    if sums is None:
        lake.delete("coordinates", extractor_id=extractor_id)
        _LOG.warning("The lake holds no embeddings of %s: there is nothing to fit.", extractor_id)
        return Reduced()
    total = sums.total
    try:
        recogniser, judgement = recognisers.update(lake, run_id, extractor_id, sums, options.shrinkage)
    finally:
        if sums.photos is not None:
            sums.photos.unpersist()
    recognised = Reduced(
        total.count,
        len(total.labels),
        shrinkage=recogniser.shrinkage,
        accuracy_before=judgement.before,
        accuracy_folds=judgement.folds,
        accuracy_before_parent=judgement.before_parent,
        accuracy_folds_parent=judgement.folds_parent,
        near_twins=judgement.near_twins,
        augmented=judgement.augmented,
        worst=judgement.worst,
    )
    if not total.varies:
        _LOG.warning("%d embeddings that do not vary make no PCA: there will be one with more photos.", total.count)
        return recognised
    placed = coordinates.update(lake, extractor_id, total, options.request, options.refit)
    basis = placed.basis
    unmade, exported = Unmade(), 0
    with unmade.telling("exports"):
        exported = exports.update(lake, run_id, extractor_id, basis.basis_id, placed.rows)
    files = pictures.update(lake, extractor_id, basis, total, placed.rows, unmade)
    _LOG.info("Variance explained by the components:\n%s", pictures.print_table(pictures.variance_table(basis)))
    _LOG.info(
        "Basis %s: %s; it captures %.2f%% of the variance, %.2f%% of what the best of its size would.",
        *(basis.basis_id, f"new ({placed.why})" if placed.why else "kept"),
        *(100 * placed.captured, 100 * placed.captured_of_best),
    )
    return replace(
        recognised,
        basis_id=basis.basis_id,
        components=len(basis.components),
        why=placed.why,
        captured_of_best=placed.captured_of_best,
        captured=placed.captured,
        projected=placed.projected,
        exported=exported,
        files=tuple(files),
        unmade=tuple(unmade),
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of step 2, which other commands share."""
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--components", type=int, help="how many principal components to keep")
    size.add_argument("--variance", type=float, help="keep as many as hold this share of the variance (default: 0.95)")
    parser.add_argument("--standardize", action="store_true", help="PCA of standardised features")
    parser.add_argument(
        "--refit",
        choices=coordinates.REFIT,
        default="auto",
        help="fit a new basis when the one in use captures too little (auto, the default), always, never",
    )
    parser.add_argument(
        "--shrinkage",
        default="auto",
        help="of the recogniser's covariance: a share in [0, 1], or auto (the default), the oracle approximating "
        "shrinkage of the photos present",
    )


def read_options(args: argparse.Namespace) -> Options:
    """Read what `add_options` added.

    Raises
    ------
    ValueError
        With what was given, and what was expected.
    """
    variance = 0.95 if args.components is None and args.variance is None else args.variance
    return Options(Request(args.components, variance, args.standardize), args.refit, read_shrinkage(args.shrinkage))


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, Options]:
    """Read step 2's command line, which is the contract with the control plane."""
    parser = argparse.ArgumentParser(prog="reduce_embeddings", description=__doc__)
    parser.add_argument("--lake", required=True, help="folder or s3://bucket[/prefix] of the lake")
    parser.add_argument("--database", default="orchard", help="database of the tables (default: orchard)")
    parser.add_argument("--run-id", required=True, help="the run to fold in")
    parser.add_argument("--extractor-id", required=True, help="whose embeddings")
    add_options(parser)
    args = parser.parse_args(argv)
    try:
        return args, read_options(args)
    except ValueError as error:
        parser.error(str(error))


def main(argv: Sequence[str] | None = None) -> None:
    """Run step 2 from its command line."""
    args, options = parse(argv)
    log_to_stderr()
    location = LakeLocation.of(args)
    with Outcome(location.root, args.run_id, "reduce").told(*REFUSALS) as outcome:
        lake = open_lake(location, f"orchard reduce {args.run_id}")
        reduced = reduce_run(lake, args.run_id, args.extractor_id, options)
        _LOG.info("%s", reduced)
        outcome.succeeded(reduced)


if __name__ == "__main__":
    main()
