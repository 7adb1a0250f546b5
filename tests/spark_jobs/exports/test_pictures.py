"""The map of a lake with more labels than a map can name."""

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from obstore.store import MemoryStore

from spark_jobs.exact.basis import Basis, Request
from spark_jobs.exact.moments import Moments
from spark_jobs.exports import pictures


def test_of_many_labels_those_with_most_photos_have_a_name_and_a_colour() -> None:
    labels = [f"label {number:03}" for number in range(134) for _ in range(3 if number % 5 == 0 else 2)]
    x = np.random.default_rng(0).standard_normal((len(labels), 4)).astype(np.float32)
    total = Moments.of(x, labels)
    basis = Basis.fit(total, Request(components=2, variance=None))
    points = pa.table({"label": labels, "x": x[:, 0], "y": x[:, 1]})
    drawn: list[Axes] = []

    def draw(axes: Axes) -> None:
        pictures._draw_map(axes, points, basis.project(total.means.astype(np.float32)), total, basis)
        drawn.append(axes)

    assert pictures._draw(MemoryStore(), "map", draw) == ["map.png", "map.svg"]
    (axes,) = drawn
    assert [text.get_text() for text in axes.texts] == [f"label {number:03}" for number in range(0, 120, 5)]
    grey, *coloured = axes.collections
    assert (to_hex(grey.get_facecolor()[0]), len(grey.get_offsets())) == ("#bfbfbf", len(labels) - 24 * 3)
    assert len({to_hex(dots.get_facecolor()[0]) for dots in coloured}) == 24
    assert axes.get_title() == "295 of 295 photos, 134 labels; named are the 24 with most photos"


@pytest.mark.parametrize(
    ("photos", "expected"),
    [
        ([], []),
        ([5, 6, 7], ["r0", "r1", "r2"]),
        ([300_000, 5], ["r0"]),
        ([20] * 250, [f"r{number}" for number in range(0, 250, 3)]),
    ],
)
def test_the_map_reads_no_more_than_a_day_can_pay_for(photos: list[int], expected: list[str]) -> None:
    placed = {f"r{number}": count for number, count in enumerate(photos)}
    assert pictures._some([*placed], placed) == expected
