"""How often photos were recognised, in the columns of `runs` and in words."""

import pytest

from orchard.lake import accuracy


@pytest.mark.parametrize(
    ("part", "photos", "said"),
    [
        (0.0, 1, "0 of 1"),
        (0.75, 4, "3 of 4"),
        (98 / 99, 99, "98 of 99"),
        (0.98765, 1234, "98.8%"),
        (0.99996, 100_000, "99.9%"),
        (1.0, 1234, "100.0%"),
        (None, 0, None),
        (None, None, None),
    ],
)
def test_shares(part: float | None, photos: int | None, said: str | None) -> None:
    assert accuracy.share({"accuracy_folds": part, "accuracy_folds_photos": photos}, "accuracy_folds") == said


def test_columns_of_what_step_2_did() -> None:
    did = {
        "near_twins": 7,
        "augmented": 1200,
        "accuracy_folds": {"right": 3, "judged": 4, "share": 0.75, "low": 0.3, "high": 0.95},
        "accuracy_folds_parent": {"right": 4, "judged": 4, "share": 1.0, "low": 0.4, "high": 1.0},
    }
    assert accuracy.columns(did) == {
        "near_twins": 7,
        "augmented": 1200,
        "accuracy_folds": 0.75,
        "accuracy_folds_low": 0.3,
        "accuracy_folds_high": 0.95,
        "accuracy_folds_photos": 4,
        "accuracy_folds_parent": 1.0,
        "accuracy_folds_parent_low": 0.4,
        "accuracy_folds_parent_high": 1.0,
        "accuracy_before_parent": None,
        "accuracy_before_parent_low": None,
        "accuracy_before_parent_high": None,
        "accuracy_before": None,
        "accuracy_before_low": None,
        "accuracy_before_high": None,
        "accuracy_before_photos": None,
    }
    assert set(accuracy.columns({})) == {*accuracy.SHARES, *accuracy.COUNTS}
    assert accuracy.told(accuracy.columns({})) == []
    assert accuracy.figure(accuracy.columns(did), "accuracy_folds") == "3 of 4 (30% to 95%)"
    assert accuracy.told(accuracy.columns(did))[0] == (
        "recognisers without a photo and its near twins: right about 3 of 4 (30% to 95%) of this run's photos; "
        "about the parent of 4 of 4 (40% to 100%)"
    )
    assert accuracy.told(accuracy.columns(did))[2] == (
        "1,200 augmented photos of this run were learnt from, and not judged"
    )
