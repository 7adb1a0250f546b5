"""Compositions of coloured rectangles: what stands where."""

import numpy as np
import pytest
from PIL import Image

from spark_jobs.augmenting.composition import compose


@pytest.mark.parametrize("shadows", [False, True])
def test_boxes_say_where_the_fruits_are(shadows: bool) -> None:
    fruit = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    background = Image.new("RGB", (200, 200), (0, 0, 255))
    rng = np.random.default_rng(0)
    scene, placed = compose(background, [("a", fruit), ("b", fruit)], [0.5, 0.25], rng, shadows=shadows)
    sizes = {one.label: (one.box[2] - one.box[0], one.box[3] - one.box[1]) for one in placed}
    assert sizes == {"a": (100, 50), "b": (50, 25)}
    red = np.zeros((200, 200), bool)
    for left, top, right, bottom in (one.box for one in placed):
        red[top:bottom, left:right] = True
    pixels = np.asarray(scene)
    np.testing.assert_array_equal(pixels[..., 2] == 0, red)  # a fruit may lie in the other's shadow
    assert (pixels[~red][:, 2].min() < 255) == shadows
    assert np.asarray(background)[..., 0].max() == 0  # left as it was


def test_what_has_no_room_stays_out() -> None:
    fruit = Image.new("RGBA", (40, 40), (255, 0, 0, 255))
    background = Image.new("RGB", (200, 100))
    for sides, left in (([0.5, 0.5], 1), ([0.51], 0), ([0.001], 1)):
        assert len(compose(background, [("a", fruit)] * len(sides), sides, np.random.default_rng(0))[1]) == left
