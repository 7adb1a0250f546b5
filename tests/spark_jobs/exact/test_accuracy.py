"""Shares of right answers, and their intervals."""

import pytest

from spark_jobs.exact.accuracy import Accuracy, Judged, by_label


def test_an_interval_of_independent_photos_is_wilsons() -> None:
    found = Accuracy.of([Judged("Fig", 1, right) for right in (0, 1) * 5])
    assert (found.right, found.judged, found.share) == (5, 10, 0.5)
    # To four digits, as in any table.
    assert (found.low, found.high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    all_right = Accuracy.of([Judged("Fig", 1, 1)] * 10)
    assert (all_right.share, all_right.low) == (1.0, pytest.approx(0.7225, abs=1e-4))
    assert all_right.high == pytest.approx(1.0)


def test_photos_that_are_right_or_wrong_together_say_less() -> None:
    alone = Accuracy.of([Judged("Fig", 1, number % 4 > 0) for number in range(400)])
    bursts = Accuracy.of([Judged("Fig", 10, 10 * (number % 4 > 0)) for number in range(40)])
    assert alone.share == bursts.share == 0.75
    assert bursts.low < alone.low < alone.high < bursts.high
    assert bursts.high - bursts.low == pytest.approx(10**0.5 * (alone.high - alone.low), rel=0.1)
    # A single group, however large, is one answer.
    one = Accuracy.of([Judged("Fig", 1000, 1000)])
    assert (one.share, one.low) == (1.0, pytest.approx(0.2065, abs=1e-4))


def test_nothing_judged_is_no_share() -> None:
    assert Accuracy.of([]) == Accuracy.of([Judged("Fig", 0, 0)]) == Accuracy(0, 0, None, None, None)


def test_by_label() -> None:
    groups = [Judged("Fig", 3, 2), Judged("Kiwi", 1, 1), Judged("Fig", 1, 0), Judged("Plum", 0, 0)]
    assert by_label(groups) == {"Fig": (2, 4), "Kiwi": (1, 1)}
