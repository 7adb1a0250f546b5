"""How sure answers are, beside how right they are; and what is answered of photos of other things.

    python -m benchmarks.answers PHOTOS --unseen OTHERS --things THINGS

Prints docs/recognition.md's table: a row a network, learnt from PHOTOS.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.near_twins import NAMES
from benchmarks.workload import default_weights
from spark_jobs.exact import crossvalidation
from spark_jobs.exact.distance import Distance
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT, FEATURES, Look
from spark_jobs.extractor.looks import Network
from spark_jobs.measuring.sample import Sample
from spark_jobs.measuring.seen import Seen, embeddings, see

HEAD = (
    *("network", "right, by folds", "right, unseen", "sure", "calibration error", "of it by chance"),
    *("unseen refused", "things refused"),
)
_BINS = 15
_DRAWS = 200


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Compute the expected calibration error (Guo et al. 2017, eq. 3) of 15 equally wide ranges of certainty.

    Parameters
    ----------
    sure : ndarray of shape (n,), float64
        Probability of each answer.
    right : ndarray of shape (n,), bool
        Whether it was right.
    """
    ranges = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    return float(sum(abs(np.sum(sure[ranges == i] - right[ranges == i])) for i in range(_BINS)) / len(sure))


def by_chance(sure: np.ndarray) -> float:
    """Compute the mean error of as many answers that are right exactly as often as they are sure."""
    draws = np.random.default_rng(0).random((_DRAWS, len(sure))) < sure
    return float(np.mean([calibration_error(sure, right) for right in draws]))


def row(look: Look, seen: Seen, unseen: Seen, things: Seen | None) -> list[str]:
    """Measure one extractor's answers."""
    found, others = embeddings(look, [seen]), embeddings(look, [unseen])
    division = crossvalidation.divide(seen.uris, seen.labels, found, look.feature)
    learnt = crossvalidation.calibrate(seen.labels, found, division)
    moments = Moments.of(found, seen.labels)
    recogniser = Recogniser.fit(moments).at(learnt.temperature)
    distance = Distance.of(moments, recogniser.shrinkage)
    sure = recogniser.probabilities(others).max(axis=1)
    right = recogniser.best(others) == np.asarray(unseen.labels, dtype=object)
    far = learnt.far or np.inf
    refused = [f"{np.mean(distance.to_nearest(others) > far):.1%}"]
    if things is not None:
        refused.append(f"{np.mean(distance.to_nearest(embeddings(look, [things])) > far):.1%}")
    errors = (calibration_error(sure, right), by_chance(sure))
    shares = (learnt.right / learnt.judged, right.mean(), sure.mean(), *errors)
    return [*(f"{share:.1%}" for share in shares), *refused]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="photos to learn from, a folder a label")
    parser.add_argument("--unseen", type=Path, required=True, help="others, of the same labels")
    parser.add_argument("--things", type=Path, help="photos of nothing that is to be known, in two folders or more")
    parser.add_argument("--weights", default=default_weights(), help="of MobileNetV2 (default: %(default)s)")
    args = parser.parse_args(argv)
    print(f"| {' | '.join(HEAD[: None if args.things else -1])} |\n|{'---|' * (len(HEAD) - (not args.things))}")
    for name in NAMES:
        architecture = ARCHITECTURES[name]
        network = Network.of(architecture, args.weights if name == DEFAULT else "imagenet", architecture.input_size)
        shown = [see(network, Sample.of(at)) if at else None for at in (args.photos, args.unseen, args.things)]
        for feature in (None, *FEATURES):
            cells = row(Look(feature=feature), *shown)  # type: ignore[arg-type]
            print(f"| `{name}`{f' {feature}' if feature else ''} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
