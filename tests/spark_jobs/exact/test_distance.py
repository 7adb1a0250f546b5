"""Distances to what labels look like, against SciPy's."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from spark_jobs.exact.distance import Distance
from spark_jobs.exact.moments import Moments


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_they_are_mahalanobis_of_the_shrunk_covariance(shrinkage: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b", "c"])[rng.integers(0, 3, 200)]
    x = (rng.standard_normal((200, 5)) * [1, 2, 3, 4, 5] + 100).astype(np.float32)
    moments = Moments.of(x, labels)
    means = {label: x[labels == label].astype(np.float64).mean(axis=0) for label in "abc"}
    within = x - np.array([means[label] for label in labels])
    covariance = within.T @ within / 200
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 5 * np.eye(5)
    inverse = np.linalg.inv(covariance)
    others = (rng.standard_normal((20, 5)) * 30 + 100).astype(np.float32)
    expected = [min(mahalanobis(one, mean, inverse) ** 2 for mean in means.values()) / 5 for one in others]
    np.testing.assert_allclose(Distance.of(moments, shrinkage).to_nearest(others), expected, rtol=1e-4)


def test_gaussian_data_are_at_about_1() -> None:
    x = np.random.default_rng(0).standard_normal((5000, 20)).astype(np.float32)
    assert Distance.of(Moments.of(x, ["a"] * 5000), 0.0).to_nearest(x).mean() == pytest.approx(1.0, abs=0.01)


def test_a_photo_a_label_is_at_its_mean() -> None:
    x = np.array([[1, 2], [5, 6]], np.float32)
    distance = Distance.of(Moments.of(x, ["a", "b"]), 1.0)
    np.testing.assert_allclose(distance.to_nearest(x), [0, 0], atol=1e-6)
    np.testing.assert_allclose(distance.to_nearest(np.array([[1, 4]], np.float32)), [2.0], rtol=1e-6)


def test_no_photo() -> None:
    assert Distance.of(Moments.of([[1.0, 2.0]], ["a"]), 1.0).to_nearest(np.zeros((0, 2), np.float32)).shape == (0,)
