"""Cut-outs of fruit that is drawn on white."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from local.sample_photos import render
from spark_jobs.augmenting.cutout import cut_out, is_on_white


def test_a_fruit_is_cut_out_without_the_white_around_it() -> None:
    photo = render("Plum", 3, 100)
    fruit = cut_out(photo)
    assert fruit.mode == "RGBA"
    assert max(fruit.size) < 100
    alpha = np.asarray(fruit.getchannel("A")) > 0
    assert alpha.any(axis=0).all() and alpha.any(axis=1).all()  # cropped to it
    assert 0.6 < alpha.mean() < 0.95
    assert np.asarray(fruit)[alpha][:, :3].min(axis=1).max() < 225  # nothing white at its edge
    with pytest.raises(ValueError, match="nothing but white in the photo"):
        cut_out(Image.new("RGB", (50, 50), "white"))


def drawn(box: tuple[int, int, int, int], background: str = "white", size: int = 60) -> Image.Image:
    photo = Image.new("RGB", (size, size), background)
    ImageDraw.Draw(photo).ellipse(box, fill="darkred")
    return photo


@pytest.mark.parametrize(
    ("photo", "on_white"),
    [
        (drawn((10, 10, 50, 50)), True),
        (drawn((0, 0, 59, 59)), True),  # touches the edge, as fruit of Fruits-360 does
        (drawn((10, 10, 50, 50), "lightgrey"), False),
        (drawn((-30, -30, 90, 90)), False),
        (Image.new("RGB", (60, 60), "white"), False),
        (drawn((30, 30, 31, 31)), False),  # a speck
    ],
)
def test_what_stands_on_white(photo: Image.Image, on_white: bool) -> None:
    assert is_on_white(photo) == on_white


def test_shop_photos_do_not_stand_on_white_and_fruits_360_does(shared) -> None:  # type: ignore[no-untyped-def]
    def share(*parts: str) -> float:
        found = sorted(shared.joinpath("data", *parts).rglob("*.jpg"))[::40]
        return float(np.mean([is_on_white(Image.open(path)) for path in found]))

    assert share("fruits-360", "Training") == 1.0
    assert share("grocery-store", "train") == 0.0
