"""Show what each choice of an extractor gives, on a folder of photos, a folder a label: speed, and honest accuracy.

A network's rows are judged on the same folds, of what it sees at the view nearest to its usual size: so they compare.

    python -m spark_jobs.choose_extractor photos/ mobilenet_v2 --views 224,320,448

Each network sees all photos once at each view, and once more with `--crop`; what features, mirror and several views
make of that is arithmetic.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from spark_jobs.exact.recogniser import read_shrinkage
from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import ARCHITECTURES, FEATURES, Architecture, Look, read_views
from spark_jobs.extractor.artefact import ExtractorError
from spark_jobs.extractor.crop import read_crop
from spark_jobs.extractor.looks import Network
from spark_jobs.measuring.judgement import Judgement, divide, judge
from spark_jobs.measuring.sample import Sample
from spark_jobs.measuring.seen import rate, see
from spark_jobs.running.output import end


@dataclass(frozen=True)
class Choice:
    """A look, with what it costs and what it is good for."""

    architecture: Architecture
    look: Look
    rate: float  # photos a second of CPU time, on one core
    judgement: Judgement


def choices(
    architecture: Architecture,
    weights: str,
    sizes: Sequence[tuple[int, int]],
    judged: Sample,
    unseen: Sample | None = None,
    *,
    mirror: bool = False,
    crop: float | None = None,
    shrinkage: float | None = None,
) -> Iterator[Choice]:
    """Measure one architecture: each view alone and all of them, each feature, mirror and crop if asked for.

    Parameters
    ----------
    judged : Sample
        Photos of the cross-validation.
    unseen : Sample, optional
        Photos to judge the recogniser of `judged` by.
    """
    seen, others = {}, {}
    crops = (None, crop) if crop else (None,)
    for size in sizes:
        network = Network.of(architecture, weights, size)
        for share in crops:
            decode = partial(photos.decode, crop=share)
            seen[size, share] = see(network, judged, decode, mirror=mirror)
            if unseen is not None:
                others[size, share] = see(network, unseen, decode, mirror=mirror)
    usual = min(sizes, key=lambda size: abs(size[0] - architecture.input_size[0]))
    division = divide(seen[usual, None])
    several = [tuple(sizes)] if len(sizes) > 1 else []
    for views, share, on, feature in product(
        [*((size,) for size in sizes), *several], crops, sorted({False, mirror}), (None, *FEATURES)
    ):
        look = Look(views, on, feature, share)
        parts = [seen[size, share] for size in views]
        judgement = judge(look, parts, [others[size, share] for size in views if others], shrinkage, division)
        yield Choice(architecture, look, rate(look, parts), judgement)


def row(choice: Choice) -> str:
    """Write a choice as a row of a table."""
    judgement = choice.judgement
    folds = judgement.folds
    share = "-" if folds.share is None else f"{folds.share:.1%} ({folds.low:.0%} to {folds.high:.0%})"
    unseen = "" if judgement.unseen is None else f"  {judgement.unseen:6.1%}"
    twins = f"{judgement.near_twins:6,} of {folds.judged:6,}"
    return f"{choice.rate:7.1f}  {share:20}  {twins}{unseen}  {choice.architecture.name} {choice.look.options}"


HEAD = "photos/s  unseen, by folds       near twins, judged"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spark_jobs.choose_extractor", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of photos, a folder a label")
    parser.add_argument("architectures", nargs="+", metavar="ARCHITECTURE", help=f"of {', '.join(ARCHITECTURES)}")
    parser.add_argument("--weights", default="imagenet", help="as of export_extractor; of a FILE for one architecture")
    parser.add_argument(
        "--views", type=read_views, default=(), metavar="SIDES", help="as of export_extractor (default: the network's)"
    )
    parser.add_argument("--mirror", action="store_true", help="show what it does, too")
    parser.add_argument("--crop", type=read_crop, metavar="SHARE", help="show what that does, too: at twice the time")
    parser.add_argument(
        "--shrinkage", default="auto", help="of the recognisers, as of run_local (default: %(default)s)"
    )
    parser.add_argument(
        "--unseen", type=Path, metavar="PHOTOS", help="photos to judge the recogniser of PHOTOS by, too"
    )
    args = parser.parse_args(argv)
    try:
        if unknown := set(args.architectures) - set(ARCHITECTURES):
            raise ExtractorError(f"Got {', '.join(sorted(unknown))}; expected some of {', '.join(ARCHITECTURES)}")
        asked = {"mirror": args.mirror, "crop": args.crop, "shrinkage": read_shrinkage(args.shrinkage)}
        judged = Sample.of(args.photos)
        unseen = Sample.of(args.unseen) if args.unseen else None
        print(HEAD + ("  of --unseen" if unseen else ""))
        for name in args.architectures:
            architecture = ARCHITECTURES[name]
            sizes = args.views or (architecture.input_size,)
            found = choices(architecture, args.weights, sizes, judged, unseen, **asked)
            for choice in found:
                print(row(choice), flush=True)
            if unseen and (others := len(unseen.files) - choice.judgement.unseen_judged):
                print(f"Not judged: {others:,} of {len(unseen.files):,} files of --unseen, of labels that PHOTOS lacks")
    except (ExtractorError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    end(main)
