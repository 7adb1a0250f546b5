"""Near twins, by their embeddings and by their names, and folds that keep them together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.exact import twins


def test_near_twins_are_grouped_by_single_linkage() -> None:
    # Squared distances along the chain are 1; the mean one of a label is said to be 2.
    embeddings = np.array([[0, 0], [1, 0], [2, 0], [9, 0], [9, 9]], np.float32)
    found = twins.groups([f"file:///{i}.jpg" for i in range(5)], embeddings, scale=2.0)
    assert found.tolist() == [0, 0, 0, 1, 2]
    assert twins.groups([f"file:///{i}.jpg" for i in range(5)], embeddings, scale=1.7).tolist() == [0, 1, 2, 3, 4]
    # Photos that are the same are twins whatever the label varies by.
    assert twins.groups(["file:///a", "file:///b"], np.ones((2, 2), np.float32), scale=0.0).tolist() == [0, 0]


def test_square_roots_are_compared_whether_or_not_the_extractor_takes_them() -> None:
    x = np.array([[16, -9, 0], [4, -9, 0], [0, 0, 0]], np.float32)
    roots = np.array([[0.8, -0.6, 0], [2 / 13**0.5, -3 / 13**0.5, 0], [0, 0, 0]])
    np.testing.assert_allclose(twins.comparable(x), roots, rtol=1e-12)
    taken = (np.sign(x) * np.sqrt(np.abs(x))).astype(np.float32)
    np.testing.assert_allclose(twins.comparable(taken, "sqrt"), roots, rtol=1e-6)
    np.testing.assert_allclose(twins.comparable(9 * x), roots, rtol=1e-12)  # however bright the photo is


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("a/IMG_0001_BURST001.jpg", "a/IMG_0001_BURST002.jpg", True),
        ("a/IMG_0001_BURST001.jpg", "b/IMG_0001_BURST002.jpg", False),
        ("a/00100lPORTRAIT_00100_BURST2019_COVER.jpg", "a/00100lPORTRAIT_00100.jpg", True),
        ("a/IMG_0001.jpg", "a/IMG_0001%20(1).JPG", True),
        ("a/IMG_0001.jpg", "a/img_0001-edited.jpg", True),
        ("a/IMG_0001.jpg", "a/IMG_0001~2.jpg", True),
        ("a/IMG_0001.jpg", "a/IMG_0001%20-%20Copy.jpg", True),
        ("a/IMG_0001.jpg", "a/IMG_0002.jpg", False),
        ("a/IMG_20240131_101459.jpg", "a/PXL_20240131_101509123.jpg", True),
        ("a/IMG_20240131_101459.jpg", "a/IMG_20240131_101510.jpg", False),
        ("a/IMG_20240131_235959.jpg", "a/IMG_20240201_000004.jpg", True),
        ("a/IMG_20249931_101459.jpg", "a/IMG_20249931_101459b.jpg", False),  # no date
        ("a/0_100.jpg", "a/1_100.jpg", False),
        ("a/0_100.jpg", "b/0_100.jpg.augmented-1.jpg", True),
        ("a/0_100.jpg", "b/0_100.png.augmented-1.jpg", True),
        ("a/IMG_0001_BURST001.jpg", "b/IMG_0001_BURST002.jpg.augmented-12.jpg", True),
        ("a/0_100.jpg.augmented-1.jpg", "a/0_100.jpg.augmented-2.jpg", True),
        ("a/0_100.jpg", "b/1_100.jpg.augmented-1.jpg", False),
        ("a/0_100.jpg", "b/0_100.augmented.jpg", False),
        ("a/(1).jpg", "a/(2).jpg", False),  # no name but a number
    ],
)
def test_names_of_a_series(one: str, other: str, together: bool) -> None:
    embeddings = np.array([[0, 0], [9, 9]], np.float32)
    found = twins.groups([f"s3://bucket/{one}", f"s3://bucket/{other}"], embeddings, scale=1.0)
    assert (found[0] == found[1]) == together


def test_augmented_photos_look_like_nothing_but_what_they_are_made_of() -> None:
    """Their background says nothing of a fruit: else all that were set before one would be one burst."""
    uris = ["a/1.jpg", "a/2.jpg", "b/1.jpg.augmented-1.jpg", "b/2.jpg.augmented-1.jpg"]
    x = np.array([[0, 0], [9, 9], [5, 5], [5, 5]], np.float64)
    assert twins.groups(uris, x, scale=1.0).tolist() == [0, 1, 0, 1]


def test_the_threshold_is_by_how_many_views_are_merged() -> None:
    assert [twins.threshold(views) for views in (0, 1, 2, 3, 4, 9)] == [0.58, 0.58, 0.55, 0.53, 0.53, 0.53]


def test_scale_is_the_mean_squared_distance_of_two_photos_of_a_label() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3))
    distances = [np.sum((x[i] - x[j]) ** 2) for i in range(40) for j in range(i)]
    assert twins.squared_scale(twins.scatter(x), 40, 1) == pytest.approx(np.mean(distances))
    assert twins.squared_scale(0.0, 3, 3) == 0.0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.text(max_size=5))
def test_folds_keep_groups_together_and_are_of_one_size(numbers: list[int], label: str) -> None:
    _, groups = np.unique(numbers, return_inverse=True)
    folds = twins.folds(label, groups)
    assert set(folds.tolist()) <= set(range(twins.FOLDS))
    assert all(len(set(folds[groups == group].tolist())) == 1 for group in set(groups.tolist()))
    sizes = np.bincount(folds, minlength=twins.FOLDS)
    assert sizes.max() - sizes.min() <= np.bincount(groups).max()


def test_labels_with_one_photo_are_spread_over_the_folds() -> None:
    folds = [int(twins.folds(f"label {i}", np.array([0]))[0]) for i in range(500)]
    assert np.bincount(folds).min() > 60
