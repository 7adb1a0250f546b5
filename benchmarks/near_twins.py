"""How near near twins are: what a cross-validation says at each threshold, and what photos say that share no burst.

    python -m benchmarks.near_twins PHOTOS --unseen OTHERS

Prints docs/recognition.md's table: a column a network, with its numbers as they are and with their square roots.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.workload import default_weights
from spark_jobs.exact import crossvalidation
from spark_jobs.exact.twins import NEAR
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT, FEATURES, Look, read_views
from spark_jobs.extractor.looks import Network
from spark_jobs.measuring.judgement import judge
from spark_jobs.measuring.sample import Sample
from spark_jobs.measuring.seen import Seen, embeddings, see

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.54, 0.56, NEAR, 0.6, 0.64)
OF_VIEWS = (0.5, 0.52, 0.54, 0.56, NEAR, 0.6)
NAMES = (DEFAULT, "efficientnet_lite0", "efficientnet_lite2")


def column(look: Look, seen: Sequence[Seen], unseen: Sequence[Seen], thresholds: Sequence[float]) -> list[str]:
    """Accuracy by folds at each threshold, and on the unseen photos."""
    found, cells = embeddings(look, seen), []
    uris, labels = seen[0].uris, seen[0].labels
    for near in thresholds:
        division = crossvalidation.divide(uris, labels, found, look.feature, near)
        cells.append(f"{crossvalidation.judge(labels, found, division).share or 0:.1%}")
    return [*cells, f"{judge(look, seen, unseen).unseen or 0:.1%}"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.near_twins", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of photos, a folder a label")
    parser.add_argument("--unseen", type=Path, required=True, help="another, of the same labels, without a twin there")
    parser.add_argument("--weights", default=default_weights(), help="of MobileNetV2 (default: %(default)s)")
    parser.add_argument(
        "--views",
        type=read_views,
        default=(),
        metavar="SIDES",
        help="columns of several, merged, instead",
    )
    args = parser.parse_args(argv)
    thresholds = OF_VIEWS if args.views else THRESHOLDS
    head, columns = ["threshold"], [[f"{near}" for near in thresholds] + ["the unseen photos"]]
    for name in NAMES:
        architecture = ARCHITECTURES[name]
        seen: list[Seen] = []
        unseen: list[Seen] = []
        for size in args.views or [architecture.input_size]:
            network = Network.of(architecture, args.weights if name == DEFAULT else "imagenet", size)
            for at, found in ((args.photos, seen), (args.unseen, unseen)):
                found.append(see(network, Sample.of(at)))
        looks = [Look(feature=feature) for feature in (None, *FEATURES)]
        if args.views:
            looks = [Look(args.views[:count], feature="sqrt") for count in range(2, len(args.views) + 1)]
        for look in looks:
            of = max(len(look.views), 1)
            head.append(f"`{name}`" + (f" {look.options}" if args.views else f" {look.feature or ''}".rstrip()))
            columns.append(column(look, seen[:of], unseen[:of], thresholds))
    for row in (head, ["---"] * len(head), *zip(*columns, strict=True)):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
