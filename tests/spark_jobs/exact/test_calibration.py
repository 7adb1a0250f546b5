"""How sure answers may be, and how far photos may be, learnt from photos that were not seen."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spark_jobs.exact.calibration import DISTANCES, TEMPERATURES, Calibration
from spark_jobs.exact.distance import Distance
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import USUAL_TEMPERATURE, Recogniser

LABELS = 6


def photos(count: int, seed: int, heavy: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.object_]]:
    """Gaussian labels; `heavy` is the standard deviation within them."""
    means = np.random.default_rng(99).standard_normal((LABELS, 12))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, LABELS, count)
    x = means[labels] + heavy * rng.standard_normal((count, 12))
    return x.astype(np.float32), np.array([f"label-{label}" for label in labels], dtype=object)


def judged(count: int, heavy: float = 1.0) -> tuple[Recogniser, Distance, Calibration]:
    moments = Moments.of(*photos(4000, seed=1))
    judge = Recogniser.fit(moments, 0.0)
    distance = Distance.of(moments, 0.0)
    x, labels = photos(count, 2, heavy)
    return judge, distance, Calibration.of(judge, distance, labels, x)


def test_gaussian_photos_are_as_gaussian_data_say() -> None:
    judge, _, learnt = judged(5000)
    assert judge.at(learnt.temperature).temperature == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("heavy", [1.5, 2.0, 3.0])
def test_answers_are_as_sure_as_they_are_right(heavy: float) -> None:
    """Photos that vary more than those learnt from: the same scores mean less."""
    judge, _, learnt = judged(5000, heavy)
    calibrated = judge.at(learnt.temperature)
    x, labels = photos(5000, 3, heavy)
    sure, right = calibrated.probabilities(x).max(axis=1), calibrated.best(x) == labels
    assert judge.at(0.0).probabilities(x).max(axis=1).mean() > right.mean() + 0.1  # else nothing was tried
    assert sure.mean() == pytest.approx(right.mean(), abs=0.02)
    bins = np.minimum((sure * 15).astype(int), 14)
    error = sum(abs(np.sum(sure[bins == i] - right[bins == i])) for i in range(15)) / len(sure)
    assert error < 0.05


def test_few_photos_leave_the_usual_temperature() -> None:
    assert Calibration.none().temperature == USUAL_TEMPERATURE
    none = Calibration.none()
    twenty = Calibration(20, 20, np.where(TEMPERATURES[0] < TEMPERATURES, 19.0, 20.0), none.distances)
    # All of twenty photos were right: half the way, on a logarithmic scale, to the surest.
    assert twenty.temperature == pytest.approx((USUAL_TEMPERATURE * TEMPERATURES[0]) ** 0.5)


def test_photos_of_many_days_count_together() -> None:
    moments = Moments.of(*photos(4000, seed=1))
    judge, distance = Recogniser.fit(moments), Distance.of(moments, 0.0)
    x, labels = photos(300, 2)
    together = Calibration.of(judge, distance, labels, x)
    parts = [Calibration.of(judge, distance, labels[at], x[at]) for at in (slice(0, 7), slice(7, 7), slice(7, 300))]
    added = sum(parts, Calibration.none())
    assert (added.judged, added.right) == (together.judged, together.right) == (300, together.right)
    np.testing.assert_allclose(added.certainties, together.certainties, rtol=1e-12)
    np.testing.assert_array_equal(added.distances, together.distances)
    assert together.distances.sum() == 300


def test_far_is_what_99_in_100_do_not_exceed() -> None:
    _, distance, learnt = judged(5000)
    assert learnt.far is not None
    x, _ = photos(5000, 4)
    assert np.mean(distance.to_nearest(x) <= learnt.far) == pytest.approx(0.99, abs=0.01)
    assert np.mean(distance.to_nearest(8 * x) <= learnt.far) < 0.05


@pytest.mark.parametrize(("near", "beyond", "far"), [(99, 1, 1.0), (98, 2, None), (99, 0, None), (0, 0, None)])
def test_how_many_photos_tell_what_is_far(near: int, beyond: int, far: float | None) -> None:
    none = Calibration.none()
    counts = none.distances.copy()
    counts[np.searchsorted(DISTANCES, 1.0)], counts[-1] = near, beyond
    found = Calibration(near + beyond, 0, none.certainties, counts).far
    assert found == (None if far is None else pytest.approx(far))
