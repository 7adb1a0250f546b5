from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import oas
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import USUAL_TEMPERATURE, Recogniser, oracle_shrinkage


def photos(n: int, dimension: int, labels: int, seed: int = 0) -> tuple[NDArray[np.float32], list[str]]:
    """Embeddings of labels of unequal size (two photos at least), that overlap."""
    rng = np.random.default_rng(seed)
    index = np.concatenate(
        [np.repeat(np.arange(labels), 2), np.minimum(rng.geometric(0.5, n - 2 * labels) - 1, labels - 1)]
    )
    mixing = rng.normal(size=(dimension, dimension))
    x = rng.normal(size=(n, dimension)) @ mixing + rng.normal(size=(labels, dimension))[index] * 2 + 3
    return x.astype(np.float32), [f"label {i}" for i in index]


def close(got: NDArray[np.float64], expected: NDArray[np.float64], rtol: float = 1e-10) -> None:
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * np.abs(expected).max())


def within(x: NDArray[np.float32], labels: list[str]) -> NDArray[np.float64]:
    """Embeddings less the means of their labels."""
    x, y = x.astype(np.float64), np.array(labels)
    return x - np.array([x[y == label].mean(axis=0) for label in labels])


@pytest.mark.parametrize("labels", [2, 3, 7])
@pytest.mark.parametrize("shrinkage", [0.0, 0.05, 0.7, 1.0])
@pytest.mark.parametrize("size", [400, 30])
def test_it_is_scikit_learns_discriminant_of_everything_however_it_grew(
    labels: int, shrinkage: float, size: int
) -> None:
    x, y = photos(400, 10, labels)
    total = Moments.empty(10)
    for i in range(0, 400, size):
        total = total + Moments.of(x[i : i + size], y[i : i + size])
    mine = Recogniser.fit(total, shrinkage)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x.astype(np.float64), y)
    assert mine.labels == tuple(theirs.classes_)
    assert mine.shrinkage == shrinkage
    weights, biases = mine.weights, mine.biases
    if labels == 2:  # scikit-learn keeps the difference only
        weights, biases = weights[1:] - weights[:1], biases[1:] - biases[:1]
    close(weights, theirs.coef_)
    close(biases, theirs.intercept_)
    other = photos(100, 10, labels, seed=1)[0]
    assert mine.temperature >= 1
    np.testing.assert_allclose(
        replace(mine, temperature=1.0).probabilities(other),
        theirs.predict_proba(other.astype(np.float64)),
        rtol=1e-8,
        atol=1e-12,
    )
    assert np.mean(mine.best(x) == theirs.predict(x.astype(np.float64))) == 1.0


@pytest.mark.parametrize(("n", "dimension", "labels"), [(400, 10, 3), (50, 60, 4), (12, 100, 5), (300, 2, 2)])
def test_the_default_shrinkage_is_scikit_learns_oracle(n: int, dimension: int, labels: int) -> None:
    x, y = photos(n, dimension, labels)
    moments = Moments.of(x, y)
    _, expected = oas(within(x, y), assume_centered=True)
    np.testing.assert_allclose(oracle_shrinkage(moments), expected, rtol=1e-10)
    assert 0 < oracle_shrinkage(moments) <= 1
    fitted = Recogniser.fit(moments)
    assert fitted.shrinkage == oracle_shrinkage(moments)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=float(expected)).fit(x.astype(np.float64), y)
    np.testing.assert_array_equal(np.array(fitted.labels)[fitted.probabilities(x).argmax(axis=1)], theirs.predict(x))


@pytest.mark.parametrize(
    "moments",
    [
        Moments.empty(3),
        Moments.of([[1.0, 2.0, 3.0]], ["a"]),
        Moments.of(np.eye(3), list("abc")),
        Moments.of(np.ones((5, 3)), list("aabbb")),
    ],
    ids=["none", "one", "one a label", "identical"],
)
def test_without_scatter_everything_is_shrunk(moments: Moments) -> None:
    assert oracle_shrinkage(moments) == 1.0


def test_probabilities_are_shares_even_far_away() -> None:
    x, y = photos(200, 5, 4)
    probabilities = Recogniser.fit(Moments.of(x, y)).probabilities(np.concatenate([x, x * 1e6]))
    assert probabilities.shape == (400, 4)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


def test_no_embedding() -> None:
    with pytest.raises(ValueError, match=r"^A recogniser needs at least one embedding, got none\.$"):
        Recogniser.fit(Moments.empty(4))


@pytest.mark.parametrize("shrinkage", [None, 0.0, 0.3])
def test_one_photo_a_label_the_nearest_mean_decides(shrinkage: float | None) -> None:
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    recogniser = Recogniser.fit(Moments.of(x, list("fedcba")), shrinkage)
    new = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
    nearest = np.linalg.norm(new[:, None] - x, axis=2).argmin(axis=1)
    got = recogniser.probabilities(new).argmax(axis=1)
    assert [recogniser.labels[i] for i in got] == ["fedcba"[i] for i in nearest]
    assert recogniser.best(x).tolist() == list("fedcba")


def test_a_single_label_is_certain() -> None:
    x, _ = photos(50, 6, 2)
    recogniser = Recogniser.fit(Moments.of(x, ["only"] * 50))
    assert recogniser.labels == ("only",)
    assert recogniser.probabilities(x).tolist() == [[1.0]] * 50
    assert recogniser.best(x[:3]).tolist() == ["only"] * 3


def test_identical_embeddings_leave_the_larger_label() -> None:
    x = np.full((5, 3), 0.1, np.float32)
    for shrinkage in (None, 0.0):
        recogniser = Recogniser.fit(Moments.of(x, list("aabbb")), shrinkage)
        np.testing.assert_allclose(recogniser.probabilities(x[:1]), [[0.4, 0.6]], rtol=1e-10)


def test_the_fewer_photos_the_farther_apart_are_labels_in_scores() -> None:
    """The temperature of one recogniser, in spreads, holds for that of more photos."""
    few, many = (Recogniser.fit(Moments.of(*photos(size, 40, 3)), 0.0) for size in (80, 8000))
    assert few.spread > 1.5 * many.spread
    assert many.temperature == max(USUAL_TEMPERATURE * many.spread, 1.0)
    assert many.at(0.5).temperature == pytest.approx(0.5 * many.spread)
    # Of the means alone, two labels are as far apart as their squared Mahalanobis distance, of which each has a half.
    two = Recogniser.fit(Moments.of([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"]), 0.0)
    assert two.spread == pytest.approx(100 / 4)


def test_one_photo() -> None:
    recogniser = Recogniser.fit(Moments.of([[1.0, 2.0]], ["a"]))
    assert recogniser.best(np.float32([[7, 8]])).tolist() == ["a"]


def test_nothing_to_judge() -> None:
    recogniser = Recogniser.fit(Moments.of(*photos(20, 3, 2)))
    assert recogniser.best(np.zeros((0, 3), np.float32)).tolist() == []


def duplicated(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([x, x[:, :1]], axis=1)


def dead(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([x, np.zeros((len(x), 1), np.float32)], axis=1)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("spoil", [duplicated, dead])
def test_a_feature_that_adds_nothing_is_singular_without_shrinkage(
    spoil: Callable[[NDArray[np.float32]], NDArray[np.float32]], seed: int
) -> None:
    x, y = photos(60, 7, 3, seed)
    with pytest.raises(ValueError) as caught:
        Recogniser.fit(Moments.of(spoil(x), y), 0.0)
    assert str(caught.value) == (
        "60 embeddings of 8 numbers have a singular covariance, and shrinkage 0.0 leaves it so: "
        "use --shrinkage auto, or more than 0.0."
    )
    for shrinkage in (None, 0.01):
        assert np.isfinite(Recogniser.fit(Moments.of(spoil(x), y), shrinkage).weights).all()


@pytest.mark.parametrize("seed", range(40))
def test_fewer_photos_than_numbers_are_singular_though_rounding_hides_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dimension = int(rng.integers(3, 30))
    n = int(rng.integers(3, dimension + 2))
    x, y = rng.normal(size=(n, dimension)), ["ab"[i % 2] for i in range(n)]
    with pytest.raises(ValueError, match=f"^{n} embeddings of {dimension} numbers have a singular covariance, "):
        Recogniser.fit(Moments.of(x, y), 0.0)
    assert np.isfinite(Recogniser.fit(Moments.of(x, y), 1e-3).weights).all()


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_units_do_not_make_it_singular(unit: float) -> None:
    x, y = photos(200, 6, 3)
    x = x.astype(np.float64) * np.geomspace(1, unit, 6)
    mine = Recogniser.fit(Moments.of(x, y), 0.0)
    scaled = Recogniser.fit(Moments.of(x / np.geomspace(1, unit, 6), y), 0.0)
    close(mine.weights * np.geomspace(1, unit, 6), scaled.weights)
