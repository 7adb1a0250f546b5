"""Cross-validation in one process, on photos drawn as bursts."""

import numpy as np
import pytest

from spark_jobs.exact import augmented, crossvalidation, twins
from tests.bursts import bursts


def test_bursts_do_not_vouch_for_themselves() -> None:
    # Bursts say nothing of each other: who learns from a burst knows it, and of another one nothing.
    uris, labels, embeddings = bursts(labels=4, bursts=10, shots=5, apart=0.0)
    division = crossvalidation.divide(uris, labels, embeddings)
    assert (len(set(division.groups)), division.near_twins) == (40, 200)
    honest = crossvalidation.judge(labels, embeddings, division)
    at_random = crossvalidation.Division(
        np.arange(200), np.random.default_rng(0).integers(0, twins.FOLDS, 200), np.ones(200, bool)
    )
    assert crossvalidation.judge(labels, embeddings, at_random).share == 1.0
    assert honest.judged == 200
    assert honest.share is not None
    assert honest.share < 0.5  # guessing gives 0.25


def test_labels_that_differ_are_recognised_across_bursts() -> None:
    uris, labels, embeddings = bursts(labels=4, bursts=10, shots=5, apart=30.0)
    assert crossvalidation.judge(labels, embeddings, crossvalidation.divide(uris, labels, embeddings)).share == 1.0


def test_a_label_of_one_burst_is_not_judged() -> None:
    uris, labels, embeddings = bursts(labels=3, bursts=6, shots=4, apart=30.0)
    rest = [i for i, label in enumerate(labels) if label != "label-2" or "burst-0" in uris[i]]
    uris, labels, embeddings = [uris[i] for i in rest], [labels[i] for i in rest], embeddings[rest]
    found = crossvalidation.judge(labels, embeddings, crossvalidation.divide(uris, labels, embeddings))
    assert (len(rest), found.judged, found.right) == (52, 48, 48)


@pytest.mark.parametrize("labels", [0, 1])
def test_nothing_to_choose_from(labels: int) -> None:
    uris, names, embeddings = bursts(labels=labels, bursts=3, shots=2, apart=1.0)
    division = crossvalidation.divide(uris, names, embeddings)
    assert crossvalidation.judge(names, embeddings, division).share is None


def test_a_label_of_more_photos_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    uris, labels, embeddings = bursts(labels=2, bursts=10, shots=5, apart=0.0)
    monkeypatch.setattr(twins, "BLOCK", 10)  # bursts of five stand side by side by their names
    division = crossvalidation.divide(uris, labels, embeddings)
    assert len(set(division.groups)) == 20


def test_augmented_photos_are_learnt_from_and_not_judged() -> None:
    """What is made of a photo knows the photo: it stands in its fold, wherever it lies."""
    uris, labels, embeddings = bursts(labels=4, bursts=10, shots=5, apart=0.0)
    made = ["s3://elsewhere/" + augmented.name(uri.rpartition("/")[2], 1) for uri in uris]
    x = np.concatenate([embeddings, 1 + 3 * embeddings])  # far from what they are made of, and wider spread
    division = crossvalidation.divide([*made, *uris], labels * 2, np.roll(x, 200, axis=0))
    alone = crossvalidation.divide(uris, labels, embeddings)
    assert division.near_twins == alone.near_twins == 200
    for group in range(max(division.groups) + 1):
        here = np.flatnonzero(division.groups == group) % 200
        assert sorted(here) == sorted(np.tile(np.flatnonzero(alone.groups == alone.groups[here[0]]), 2))
    judged = crossvalidation.judge(labels * 2, np.concatenate([embeddings, embeddings]), division)
    assert judged.judged == 200
    assert judged.share is not None
    assert judged.share < 0.5
    learnt = crossvalidation.calibrate(labels * 2, np.concatenate([embeddings, embeddings]), division)
    assert (learnt.judged, learnt.right) == (200, judged.right)
    assert division.taken.tolist() == [False] * 200 + [True] * 200
