"""How near near twins are: what a cross-validation says at each threshold, and what photos say that share no burst.

    python -m benchmarks.near_twins PHOTOS --unseen OTHERS

Prints docs/recognition.md's table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spark_jobs.choose_extractor import Sample, see
from spark_jobs.exact import crossvalidation
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT
from spark_jobs.extractor.looks import Network

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.44, 0.48, 0.5, 0.52, 0.54, 0.56, 0.6)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.near_twins", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of photos, a folder a label")
    parser.add_argument("--unseen", type=Path, required=True, help="another, of the same labels, without a twin there")
    parser.add_argument("--weights", default="imagenet", help="of MobileNetV2 (default: %(default)s)")
    args = parser.parse_args(argv)
    architecture = ARCHITECTURES[DEFAULT]
    network = Network.of(architecture, args.weights, architecture.input_size)
    (uris, labels, embeddings), (_, others, unseen) = (
        _seen(network, Sample.of(at)) for at in (args.photos, args.unseen)
    )
    print("| threshold | groups | photos with a near twin | by folds |\n|---|---|---|---|")
    for near in THRESHOLDS:
        division = crossvalidation.divide(uris, labels, embeddings, near=near)
        found = crossvalidation.judge(labels, embeddings, division)
        groups = len(set(division.groups.tolist()))
        print(f"| {near} | {groups:,} | {division.near_twins:,} | {found.share or 0:.1%} |", flush=True)
    best = Recogniser.fit(Moments.of(embeddings, labels)).best(unseen)
    print(f"| the {len(others)} unseen photos | | | {np.mean(best == np.asarray(others, dtype=object)):.1%} |")


def _seen(network: Network, sample: Sample) -> tuple[list[str], list[str], np.ndarray]:
    seen, readable = see(network, sample)
    return [sample.files[i].absolute().as_uri() for i in readable], [sample.labels[i] for i in readable], seen.means[0]


if __name__ == "__main__":
    main()
