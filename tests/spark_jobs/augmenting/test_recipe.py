"""The recipe, on drawn fruit: what of a photo is seen again in what is made of it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from local.sample_photos import render
from spark_jobs.augmenting.recipe import SIDE, augment

BLUE = Image.new("RGB", (300, 200), (20, 40, 230))


def made(photo: Image.Image, seed: int, **pictures: Image.Image) -> Image.Image:
    return augment(photo, np.random.default_rng(seed), **pictures)


def blue(image: Image.Image) -> NDArray[np.bool_]:
    red, _, blue = np.moveaxis(np.asarray(image).astype(int), 2, 0)
    return blue > 1.5 * red + 10


def test_fruit_on_white_is_set_before_the_background() -> None:
    photo = render("Orange", 1, 100)
    shares = []
    for seed in range(60):
        one = made(photo, seed, background=BLUE)
        assert one.size == (300, 200)
        shares.append(1 - blue(one).mean())  # what is not background is fruit: none of the white is left
    assert min(shares) > 0.02  # there is a fruit in each
    assert max(shares) < 0.6
    assert np.ptp(shares) > 0.15


def test_a_photo_that_is_not_on_white_keeps_its_own_background() -> None:
    photo = BLUE.copy()
    photo.paste(render("Orange", 1, 100).crop((30, 30, 70, 70)), (130, 80))
    sizes = set()
    for seed in range(20):
        one = made(photo, seed, background=Image.new("RGB", (50, 50), "green"))
        sizes.add(one.size)
        assert 0.5 * 300 * 200 - 600 <= one.width * one.height <= 300 * 200
        assert 0.8 < blue(one).mean() <= 1
    assert len(sizes) > 10


def test_without_a_background_white_stays() -> None:
    pixels = np.asarray(made(render("Orange", 1, 100), 3)).astype(int)
    assert np.ptp(pixels[0, 0]) < 60  # white, under another light


@pytest.mark.parametrize(("size", "expected"), [((4000, 2000), (SIDE, SIDE // 2)), ((40, 30), (40, 30))])
def test_a_background_is_never_enlarged(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert made(render("Orange", 1, 100), 0, background=Image.new("RGB", size)).size == expected


def test_a_hand_reaches_into_some_photos_from_the_edge() -> None:
    hand = Image.new("RGBA", (50, 50), (0, 255, 0, 255))
    covered = []
    for seed in range(60):
        _, green, blue = np.moveaxis(np.asarray(made(BLUE, seed, in_front=hand)).astype(int), 2, 0)
        of_hand = green > 1.5 * blue + 10
        covered.append(of_hand.mean())
        middle = tuple(side // 2 for side in of_hand.shape)
        assert not of_hand[middle]
    assert 0.15 < np.mean(np.array(covered) > 0) < 0.45
    assert max(covered) < 0.35


def test_the_same_number_gives_the_same_photo() -> None:
    photo = render("Plum", 1, 80)
    one, same, other = (np.asarray(made(photo, seed, background=BLUE)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
