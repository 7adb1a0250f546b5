from functools import reduce
from itertools import pairwise
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spark_jobs.exact.moments import Moments, moments_id

ODD = ["", " ", "a", "a ", "a\0", "A", "é", "e\u0301", "🍎", "a/b", "%41", "line\nbreak", "'\"", "0", "z" * 300]


def direct(embeddings: NDArray[np.float64], labels: list[str]) -> Moments:
    """Compute moments from scratch, as their docstring defines them, in the widest type that there is."""
    x = embeddings.astype(np.longdouble)
    names = sorted(set(labels))
    index = np.array([names.index(label) for label in labels], int)
    counts = np.array([labels.count(name) for name in names], np.int64)
    means = np.array([x[index == i].mean(axis=0) for i in range(len(names))]).reshape(len(names), x.shape[1])
    centred = x - means[index]
    return Moments(tuple(names), counts, means.astype(np.float64), (centred.T @ centred).astype(np.float64))


def assert_same(got: Moments, expected: Moments, offset: float = 0.0) -> None:
    """Compare at 1e-10, relative to the largest number of each array (an entry may cancel to 0)."""
    assert got.labels == expected.labels
    np.testing.assert_array_equal(got.counts, expected.counts)
    assert got.counts.dtype == np.int64
    for mine, theirs in ((got.means, expected.means), (got.scatter, expected.scatter)):
        assert mine.shape == theirs.shape
        largest = np.abs(theirs).max(initial=0)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10 * largest + 1e-18 * offset**2)


@st.composite
def parts(draw: st.DrawFn) -> list[tuple[NDArray[np.float64], list[str]]]:
    """Embeddings with labels, cut into parts, of which some are empty, some of one photo."""
    dimension = draw(st.integers(1, 5))
    labels = draw(st.lists(st.sampled_from(ODD), max_size=30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    offset = draw(st.sampled_from([0.0, 0.0, 1e3, -1e6]))
    x = offset + rng.normal(size=(len(labels), dimension)) * draw(st.sampled_from([1e-3, 1.0, 1e3]))
    cuts = sorted(draw(st.lists(st.integers(0, len(labels)), max_size=6)))
    edges = [0, *cuts, len(labels)]
    return [(x[a:b], labels[a:b]) for a, b in pairwise(edges)]


def whole(cut: list[tuple[NDArray[np.float64], list[str]]]) -> tuple[NDArray[np.float64], list[str]]:
    return np.concatenate([x for x, _ in cut]), [label for _, labels in cut for label in labels]


@settings(deadline=None, max_examples=100)
@given(parts(), st.randoms(use_true_random=False))
def test_the_law_of_the_house(cut: list[tuple[NDArray[np.float64], list[str]]], random: Random) -> None:
    x, labels = whole(cut)
    offset = float(np.abs(x).max(initial=0))
    expected = direct(x, labels)
    assert_same(Moments.of(x, labels), expected, offset)
    pieces = [Moments.of(*part) for part in cut]
    assert_same(reduce(Moments.__add__, pieces), expected, offset)
    random.shuffle(pieces)
    while len(pieces) > 1:  # any order, any nesting
        at = random.randrange(len(pieces) - 1)
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    assert_same(pieces[0], expected, offset)


@settings(deadline=None, max_examples=30)
@given(parts())
def test_empty_is_neutral_and_exactly_so(cut: list[tuple[NDArray[np.float64], list[str]]]) -> None:
    moments = Moments.of(*whole(cut))
    nothing = Moments.empty(moments.dimension)
    for same in (moments + nothing, nothing + moments, nothing + moments + nothing):
        assert same.pack() == moments.pack()
    assert (nothing + nothing).pack() == nothing.pack()


@settings(deadline=None, max_examples=30)
@given(parts())
def test_packing_is_exact_and_deterministic(cut: list[tuple[NDArray[np.float64], list[str]]]) -> None:
    moments = reduce(Moments.__add__, [Moments.of(*part) for part in cut])
    packed = moments.pack()
    back = Moments.unpack(packed)
    assert back.labels == moments.labels
    for name in ("counts", "means"):
        np.testing.assert_array_equal(getattr(back, name), getattr(moments, name))
    for name in ("counts", "means", "scatter"):
        assert getattr(back, name).dtype == getattr(moments, name).dtype
    # Relative to each number's own spread; all digits but the last two or three.
    scale = np.sqrt(np.diag(moments.scatter))
    assert (np.abs(back.scatter - moments.scatter) <= 1e-13 * np.outer(scale, scale)).all()
    assert packed == moments.pack()
    assert (back + back).count == 2 * moments.count


def test_a_content_has_one_name() -> None:
    a, b = Moments.of([[1.0, 2.0]], ["x"]), Moments.of([[1.0, 2.0]], ["y"])
    names = {moments_id(moments.pack()) for moments in (a, b, a + b, a + a, Moments.empty(2))}
    assert len(names) == 5
    assert all(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in names)


def test_packing_takes_half_of_the_scatter_or_a_row_a_photo() -> None:
    x = np.random.default_rng(0).normal(size=(500, 400))
    half = 400 * 401 / 2 * 8
    assert half < len(Moments.of(x, ["a"] * 500).pack()) < 1.02 * half
    assert 5 * 400 * 8 < len(Moments.of(x[:5], ["a"] * 5).pack()) < 6 * 400 * 8
    assert 5 * 400 * 8 < len(Moments.of(x[:5], list("abcde")).pack()) < 6 * 400 * 8  # means alone


@pytest.mark.parametrize("photos", [2, 3, 7, 12, 13, 60])
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_what_is_unpacked_is_what_was_packed_to_the_last_digits(photos: int, labels: int) -> None:
    """Of numbers of all sizes: those that vary by a millionth of others keep their digits, too."""
    rng = np.random.default_rng(photos)
    x = rng.normal(size=(photos, 24)) * np.geomspace(1e-6, 1e3, 24)
    x[:, 5] = 3.0
    moments = Moments.of(x, [f"{i % labels}" for i in range(photos)])
    got = Moments.unpack(moments.pack())
    scale = np.sqrt(np.diag(moments.scatter))
    np.testing.assert_allclose(got.scatter, moments.scatter, rtol=0, atol=1e-13 * np.outer(scale, scale).max())
    assert (np.abs(got.scatter - moments.scatter) <= 1e-12 * np.outer(scale, scale)).all()
    np.testing.assert_array_equal(got.means, moments.means)
    assert got.scatter[5].tolist() == [0.0] * 24


def test_moments_of_an_earlier_version_are_read() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    moments = Moments.of(x, ["a", "b", "a"])
    columns = [[4], [["a", "b"]], [[2, 1]], [moments.means.ravel()], [moments.scatter[np.triu_indices(4)]]]
    names = ("dimension", "labels", "counts", "means", "scatter_upper")
    kinds = (pa.int64(), pa.list_(pa.string()), pa.list_(pa.int64()), *[pa.list_(pa.float64())] * 2)
    batch = pa.record_batch([pa.array(c, kind) for c, kind in zip(columns, kinds, strict=True)], names=list(names))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    got = Moments.unpack(bytes(sink.getvalue()))
    np.testing.assert_array_equal(got.scatter, moments.scatter)


@pytest.mark.parametrize("split", [1, 7, 100])
def test_a_large_offset_costs_no_digits(split: int) -> None:
    """Sums of squares would be 1e12 a photo, and lose all but 4 digits of a spread of 1."""
    rng = np.random.default_rng(3)
    spread = rng.normal(size=(1000, 4)) * [1, 1, 0.1, 10]
    spread = np.round(spread * 2**20) / 2**20  # so that adding the offset is exact
    labels = [f"label {i % 3}" for i in range(1000)]
    shifted = 1e6 + spread
    assert np.array_equal(shifted - 1e6, spread)
    expected = direct(spread, labels)
    got = reduce(Moments.__add__, [Moments.of(shifted[i::split], labels[i::split]) for i in range(split)])
    np.testing.assert_allclose(got.means - 1e6, expected.means, rtol=0, atol=1e-9)
    np.testing.assert_allclose(got.scatter, expected.scatter, rtol=1e-10, atol=1e-10 * np.abs(expected.scatter).max())
    np.testing.assert_allclose(got.covariance, np.cov(spread.T), rtol=1e-9, atol=1e-10 * 100)


def test_mean_and_covariance_are_numpys() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(500, 30)) @ rng.normal(size=(30, 30)) + rng.normal(size=30)
    labels = rng.choice(ODD, 500).tolist()
    moments = Moments.of(x, labels)
    assert (moments.count, moments.dimension) == (500, 30)
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(moments.covariance, np.cov(x.T), rtol=1e-10, atol=1e-10)


def test_labels_that_differ_only_in_what_is_easily_lost_stay_apart() -> None:
    moments = Moments.of(np.arange(len(ODD), dtype=float)[:, None], ODD)
    assert moments.labels == tuple(sorted(ODD))
    assert dict(zip(moments.labels, moments.means[:, 0], strict=True)) == {name: i for i, name in enumerate(ODD)}
    assert Moments.unpack(moments.pack()).labels == moments.labels
    assert (moments + moments).counts.tolist() == [2] * len(ODD)


def test_one_photo_a_label_has_no_scatter_but_a_covariance() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    moments = Moments.of(x, list("dbca"))
    assert moments.scatter.tolist() == np.zeros((3, 3)).tolist()
    np.testing.assert_allclose(moments.covariance, np.cov(x.T), rtol=1e-10, atol=1e-15)
    assert moments.varies


def test_without_photos() -> None:
    empty = Moments.of(np.zeros((0, 3), np.float32), [])
    assert (empty.count, empty.dimension, empty.labels, empty.mean.tolist()) == (0, 3, (), [0, 0, 0])
    assert not empty.varies
    with pytest.raises(ValueError, match=r"^A covariance needs at least 2 embeddings, got 0\.$"):
        _ = empty.covariance


def test_one_photo() -> None:
    one = Moments.of([[1.5, 2.5]], ["a"])
    assert one.mean.tolist() == [1.5, 2.5]
    assert not one.varies
    with pytest.raises(ValueError, match=r"^A covariance needs at least 2 embeddings, got 1\.$"):
        _ = one.covariance


@pytest.mark.parametrize("parts_of", [1, 3])
def test_identical_embeddings_do_not_vary_at_all(parts_of: int) -> None:
    """Float32 numbers add up exactly in float64, so that not even rounding varies."""
    same = np.float32([[0.1, 1 / 3, 7e8, 1e-20]]).repeat(60, axis=0)
    labels = [f"{i % 4}" for i in range(60)]
    pieces = [Moments.of(same[i::parts_of], labels[i::parts_of]) for i in range(parts_of)]
    moments = reduce(Moments.__add__, pieces)
    assert not moments.scatter.any()
    assert not moments.covariance.any()
    assert not moments.varies
    np.testing.assert_array_equal(moments.mean, same[0].astype(np.float64))


def test_other_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Moments of 3 and of 2 numbers cannot be added\.$"):
        Moments.empty(3) + Moments.empty(2)


def test_adding_changes_neither() -> None:
    a, b = Moments.of([[1.0], [2.0]], ["x", "y"]), Moments.of([[5.0]], ["y"])
    before = a.pack(), b.pack()
    assert (a + b).means.tolist() == [[1.0], [3.5]]
    assert (a.pack(), b.pack()) == before
