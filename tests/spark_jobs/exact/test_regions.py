import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.exact import regions
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.regions import Finder, Region, embeddings, suppress, windows


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31), st.sampled_from([None, "sqrt"]))
@settings(max_examples=50, deadline=None)
def test_the_window_that_is_the_whole_photo_has_its_embedding(rows, columns, seed, feature):
    rng = np.random.default_rng(seed)
    maps = [rng.standard_normal((rows, columns, 5)), rng.standard_normal((rows + 3, columns + 1, 5))]
    means = np.stack([cells.mean(axis=(0, 1)) for cells in maps])
    expected = np.mean(np.sign(means) * np.sqrt(np.abs(means)) if feature else means, axis=0)
    (found,) = embeddings(maps, np.array([[0, 0, 21, 21]]), 21, feature)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_window_has_the_mean_of_its_cells():
    cells = np.arange(16.0).reshape(4, 4, 1)
    found = embeddings([cells], np.array([[0, 0, 1, 1], [1, 2, 3, 4], [0, 0, 4, 2]]), 4, None)
    np.testing.assert_allclose(found[:, 0], [0, (9 + 10 + 13 + 14) / 4, 3.5])
    # Half a step is a quarter of a cell's width: a cell counts by what of it lies in the window.
    (half,) = embeddings([cells[:1, :2]], np.array([[1, 0, 3, 4]]), 4, None)
    np.testing.assert_allclose(half, [0.5])


def test_windows_lie_within_the_photo():
    found = windows(1)
    assert [0, 0, 7, 7] in found.tolist()
    assert found.min() == 0
    assert found.max() == 7
    assert (found[:, 2:] - found[:, :2]).min() == 5
    assert len(np.unique(found, axis=0)) == len(found)


def test_of_boxes_that_share_much_the_best_stays():
    boxes = np.array([[0.0, 0.0, 0.4, 0.4], [0.1, 0.0, 0.5, 0.4], [0.5, 0.5, 0.9, 0.9], [0.55, 0.55, 0.65, 0.65]])
    scores = np.array([0.5, 0.9, 0.8, 0.7])
    assert suppress(boxes, scores, 10, 0.4) == [1, 2]  # one shares 3/4 of the best, one lies in a larger one
    assert suppress(boxes, scores, 10, 0.75) == [1, 2, 0]
    assert suppress(boxes, scores, 1, 0.4) == [1]
    assert suppress(boxes[:0], scores[:0], 10, 0.4) == []


LABELS = ("apple", "fig", "plum")


@pytest.fixture(scope="module")
def finder():
    """Of a lake whose labels have a number each, and much the same of all others."""
    rng = np.random.default_rng(0)
    embeddings, labels = [], []
    for i, label in enumerate(LABELS):
        embeddings.append(rng.normal(0, 0.3, (30, 6)) + 10 * np.eye(6)[i])
        labels += [label] * 30
    return Finder.of(Moments.of(np.concatenate(embeddings), labels))


def see(*fruits):
    """Give the maps of a photo whose background is number 5, and fruits: label, left, top and side as shares."""
    levels = []
    for times in regions.TIMES:
        side = 7 * times
        cells = np.zeros((side, side, 6), np.float32)
        cells[..., 5] = 8 + np.random.default_rng(1).normal(0, 0.5, (side, side))
        for label, left, top, size in fruits:
            at = [slice(round(start * side), round((start + size) * side)) for start in (top, left)]
            cells[at[0], at[1]] = 10 * np.eye(6)[LABELS.index(label)]
        levels.append([cells])
    return levels


def test_each_fruit_is_found_where_it_stands(finder):
    levels = see(("plum", 0.05, 0.05, 0.3), ("apple", 0.6, 0.1, 0.3), ("plum", 0.35, 0.6, 0.3))
    found = finder.regions(levels)
    centres = [(one.label, (one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2) for one in found]
    assert [label for label, _, _ in sorted(centres)] == ["apple", "plum", "plum"]
    np.testing.assert_allclose([at for _, *at in sorted(centres)], [[0.75, 0.25], [0.2, 0.2], [0.5, 0.75]], atol=0.06)
    for one in found:
        assert 0.9 < one.probability < 1 + 1e-9
        assert 0.2 < one.box[2] - one.box[0] < 0.4


def test_background_alone_has_no_region(finder):
    levels = see()
    assert finder.regions(levels) == []


def test_a_photo_that_looks_as_the_lakes_do_is_one_region(finder):
    fig = np.array([0.2, 10.1, 0, 0, 0, -0.1], np.float32)
    assert finder.is_usual(fig)
    one = finder.whole(fig)
    assert (one.label, one.box) == ("fig", (0.0, 0.0, 1.0, 1.0))
    assert one.probability > 0.99
    (level, *_) = see(("plum", 0, 0, 0.3))
    assert not finder.is_usual(level[0].mean(axis=(0, 1)))


def test_ten_regions_at_most(finder):
    fruits = [("fig", x / 4 + 0.01, y / 4 + 0.01, 0.22) for x in range(4) for y in range(4)]
    levels = see(*fruits)
    found = finder.regions(levels)
    assert len(found) == 10
    assert {one.label for one in found} == {"fig"}


def test_a_score_says_how_much_of_the_way_a_window_has_gone(finder):
    background = np.array([0.0, 0, 0, 0, 0, 8])
    fig = finder.means[1]
    scores = finder.scores(np.stack([background, (background + fig) / 2, fig]), background)
    np.testing.assert_allclose(scores[1:], [0.5, 1], atol=1e-9)
    assert abs(scores[0]) < 1e-9
    np.testing.assert_allclose(finder.distances(finder.means), 0, atol=1e-9)
    assert finder.chances(finder.means).argmax(axis=1).tolist() == [0, 1, 2]


def test_a_lake_of_one_photo_a_label():
    """No scatter at all: still an answer, and no warning."""
    finder = Finder.of(Moments.of(10 * np.eye(6)[:3], list(LABELS)))
    levels = see(("fig", 0.3, 0.3, 0.35))
    (one,) = finder.regions(levels)
    assert one.label == "fig"


def test_a_region_is_named_anew_by_its_crops(finder):
    region = Region("plum", 0.4, (0.1, 0.2, 0.5, 0.6))
    one = finder.named(region, np.array([finder.means[0] * 1.2, finder.means[0] * 0.8]))
    assert (one.label, one.box) == ("apple", region.box)
    assert 0.99 < one.probability <= 1
