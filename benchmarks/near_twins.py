"""How near near twins are: what a cross-validation says at each threshold, and what photos say that share no burst.

    python -m benchmarks.near_twins PHOTOS --unseen OTHERS

Prints docs/recognition.md's table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spark_jobs.exact import crossvalidation
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT
from spark_jobs.extractor.looks import Network
from spark_jobs.measuring.sample import Sample
from spark_jobs.measuring.seen import see

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.44, 0.48, 0.5, 0.52, 0.54, 0.56, 0.6)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.near_twins", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of photos, a folder a label")
    parser.add_argument("--unseen", type=Path, required=True, help="another, of the same labels, without a twin there")
    parser.add_argument("--weights", default="imagenet", help="of MobileNetV2 (default: %(default)s)")
    args = parser.parse_args(argv)
    architecture = ARCHITECTURES[DEFAULT]
    network = Network.of(architecture, args.weights, architecture.input_size)
    seen, others = (see(network, Sample.of(at)) for at in (args.photos, args.unseen))
    labels, embeddings = seen.labels, seen.means[0]
    print("| threshold | groups | photos with a near twin | by folds |\n|---|---|---|---|")
    for near in THRESHOLDS:
        division = crossvalidation.divide(seen.uris, labels, embeddings, near=near)
        found = crossvalidation.judge(labels, embeddings, division)
        groups = len(set(division.groups.tolist()))
        print(f"| {near} | {groups:,} | {division.near_twins:,} | {found.share or 0:.1%} |", flush=True)
    best = Recogniser.fit(Moments.of(embeddings, labels)).best(others.means[0])
    named = np.asarray(others.labels, dtype=object)
    print(f"| the {len(named)} unseen photos | | | {np.mean(best == named):.1%} |")


if __name__ == "__main__":
    main()
