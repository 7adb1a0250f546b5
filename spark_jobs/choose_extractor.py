"""Show what each choice of an extractor gives, on a folder of photos, a folder a label: speed, and honest accuracy.

    python -m spark_jobs.choose_extractor photos/ mobilenet_v2 --views 224,320,448

Each network sees all photos once at each view; what features, mirror and several views make of that is arithmetic.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spark_jobs.exact import crossvalidation
from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import ARCHITECTURES, FEATURES, Architecture, Look, read_views
from spark_jobs.extractor.artefact import ExtractorError, FloatArray
from spark_jobs.extractor.looks import Network, merge
from spark_jobs.running.output import end

_STEP = 64  # photos that are decoded at once


@dataclass(frozen=True)
class Sample:
    """Photos to judge by, in the order of their paths."""

    files: tuple[Path, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> "Sample":
        """Find all files of a folder; a label is the folder that a file stands in.

        Raises
        ------
        ExtractorError
            If there are fewer than two labels.
        """
        files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
        labels = tuple(path.parent.name for path in files)
        if len(set(labels)) < 2:
            raise ExtractorError(
                f"Expected photos of two labels or more in {folder}, a folder a label; got {len(files)} files of "
                f"{len(set(labels))} labels"
            )
        return cls(files, labels)


@dataclass(eq=False)
class Seen:
    """What a network made of photos at one view: means over all places, as they are and mirrored.

    Attributes
    ----------
    means : list of ndarray of shape (n, dimension), float32
        One, or two with the mirrored photos'.
    decode_seconds, embed_seconds : float
        CPU time a photo, on one thread; `embed_seconds` without the mirrored ones.
    """

    means: list[FloatArray]
    decode_seconds: float
    embed_seconds: float

    def sides(self, look: Look) -> list[FloatArray]:
        """Means of the sides that a look has."""
        return self.means if look.mirror else self.means[:1]


@dataclass(frozen=True)
class Choice:
    """A look, with what it costs and what it is good for."""

    architecture: Architecture
    look: Look
    rate: float  # photos a second of CPU time, on one core
    accuracy: Accuracy
    near_twins: int
    unseen: float | None = field(default=None)  # share of right answers on the photos of another folder


def see(network: Network, sample: Sample, *, mirror: bool = False) -> tuple[Seen, list[int]]:
    """Show a network all photos; also say which of them could be read."""
    readable: list[int] = []
    means: list[list[FloatArray]] = [[], []]
    decoding = embedding = 0.0
    for first in range(0, len(sample.files), _STEP):
        began = time.process_time()
        pixels = []
        for number in range(first, min(first + _STEP, len(sample.files))):
            try:
                pixels.append(photos.decode(sample.files[number].read_bytes(), network.size))
            except photos.PhotoError:
                continue
            readable.append(number)
        decoded = time.process_time()
        means[0].append(network.means(pixels))
        embedding += time.process_time() - decoded
        decoding += decoded - began
        if mirror:
            means[1].append(network.means([view[:, ::-1] for view in pixels]))
    found = [np.concatenate(side) for side in means if side]
    count = max(len(readable), 1)
    return Seen(found, decoding / count, embedding / count), readable


def choices(
    architecture: Architecture,
    weights: str,
    sizes: Sequence[tuple[int, int]],
    judged: Sample,
    unseen: Sample | None = None,
    *,
    mirror: bool = False,
) -> Iterator[Choice]:
    """Measure one architecture: each view alone and all of them, each feature, and both with the mirror if asked for.

    Parameters
    ----------
    judged : Sample
        Photos of the cross-validation.
    unseen : Sample, optional
        Photos to judge the recogniser of `judged` by.
    """
    seen, seen_unseen = {}, {}
    readable: list[int] = []
    readable_unseen: list[int] = []
    for size in sizes:
        network = Network.of(architecture, weights, size)
        seen[size], readable = see(network, judged, mirror=mirror)
        if unseen is not None:
            seen_unseen[size], readable_unseen = see(network, unseen, mirror=mirror)
    uris = [judged.files[i].absolute().as_uri() for i in readable]
    labels = [judged.labels[i] for i in readable]
    several = [tuple(sizes)] if len(sizes) > 1 else []
    for views in [*((size,) for size in sizes), *several]:
        for look in (Look(views, on, feature) for on in ({False, mirror}) for feature in (None, *FEATURES)):
            embeddings = merge(look, [mean for size in views for mean in seen[size].sides(look)])
            division = crossvalidation.divide(uris, labels, embeddings, look.feature)
            share = None
            if unseen is not None:
                others = merge(look, [mean for size in views for mean in seen_unseen[size].sides(look)])
                recogniser = Recogniser.fit(Moments.of(embeddings, labels))
                named = np.asarray([unseen.labels[i] for i in readable_unseen], dtype=object)
                share = float(np.mean(recogniser.best(others) == named))
            costs = [seen[size] for size in views]
            seconds = max(one.decode_seconds for one in costs)
            seconds += sum(one.embed_seconds for one in costs) * (2 if look.mirror else 1)
            accuracy = crossvalidation.judge(labels, embeddings, division)
            yield Choice(architecture, look, 1 / seconds, accuracy, division.near_twins, share)


def row(choice: Choice) -> str:
    """Write a choice as a row of a table."""
    look, accuracy = choice.look, choice.accuracy
    name = " ".join(
        [
            choice.architecture.name,
            *(["--views " + ",".join(str(width) for width, _ in look.views)]),
            *(["--mirror"] if look.mirror else []),
            *([f"--feature {look.feature}"] if look.feature else []),
        ]
    )
    share = "-" if accuracy.share is None else f"{accuracy.share:.1%} ({accuracy.low:.0%} to {accuracy.high:.0%})"
    unseen = "" if choice.unseen is None else f"  {choice.unseen:6.1%}"
    return f"{choice.rate:7.1f}  {share:20}  {choice.near_twins:6,} of {accuracy.judged:6,}{unseen}  {name}"


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
    parser.add_argument(
        "--unseen", type=Path, metavar="PHOTOS", help="photos to judge the recogniser of PHOTOS by, too"
    )
    args = parser.parse_args(argv)
    try:
        if unknown := set(args.architectures) - set(ARCHITECTURES):
            raise ExtractorError(f"Got {', '.join(sorted(unknown))}; expected some of {', '.join(ARCHITECTURES)}")
        judged = Sample.of(args.photos)
        unseen = Sample.of(args.unseen) if args.unseen else None
        print(HEAD + ("  of --unseen" if unseen else ""))
        for name in args.architectures:
            architecture = ARCHITECTURES[name]
            sizes = args.views or (architecture.input_size,)
            found = choices(architecture, args.weights, sizes, judged, unseen, mirror=args.mirror)
            for choice in found:
                print(row(choice), flush=True)
    except ExtractorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    end(main)
