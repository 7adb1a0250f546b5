"""What each preprocessing does to pixels, offered or not."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from benchmarks.variants import VARIANTS, clahe, equalised, gaussian, grey_world, letterbox, median

pictures = arrays(np.uint8, (16, 16, 3), elements=st.integers(0, 255))


def png(width, height, colour):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_grey_world_takes_a_tint_away():
    tinted = np.full((4, 4, 3), (120, 90, 60), np.uint8)
    assert grey_world(tinted).tolist() == np.full((4, 4, 3), 90).tolist()
    half = np.concatenate([tinted, tinted // 2])
    assert grey_world(half)[0, 0].tolist() == [90, 90, 90]
    assert grey_world(half)[-1, -1].tolist() == [45, 45, 45]
    no_blue = np.full((2, 2, 3), (120, 90, 0), np.uint8)
    assert grey_world(no_blue) is no_blue


@given(st.integers(1, 120), st.integers(1, 120), st.integers(1, 120), st.integers(0, 9))
@settings(deadline=None)
def test_grey_world_of_greys_means_is_grey_and_again_the_same(red, green, blue, seed):
    pixels = np.random.default_rng(seed).integers(1, 3, (8, 8, 1)) * [red, green, blue]
    once = grey_world(pixels.astype(np.uint8))
    means = once.reshape(-1, 3).mean(axis=0)
    if once.max() < 255:  # else it was clipped
        assert means.max() - means.min() <= 1
        assert np.abs(grey_world(once).astype(int) - once).max() <= 2


def test_clahe_spreads_what_is_narrow_and_leaves_colours_of_one_kind():
    narrow = np.tile(np.arange(100, 116, dtype=np.uint8), (16, 1))
    spread = equalised(narrow, tiles=2)
    # Each tile has 64 pixels of 8 greys, 8 a grey, of which 0.5 stay: (101 x 60 / 256 + 0.5) x 255 / 64 and
    # (116 x 60 / 256 + 8 x 0.5) x 255 / 64.
    assert (spread.min(), spread.max()) == (96, 124)
    assert (np.diff(spread[8].astype(int)) >= 0).all()
    flat = np.full((16, 16), 100, np.uint8)
    assert np.ptp(equalised(flat)) == 0
    assert abs(int(equalised(flat)[0, 0]) - 100) <= 2


@given(arrays(np.uint8, (16, 24), elements=st.integers(0, 255)))
@settings(deadline=None)
def test_clahe_turns_with_the_picture(grey):
    np.testing.assert_allclose(equalised(grey[::-1, ::-1], 4)[::-1, ::-1], equalised(grey, 4), atol=1)


@given(pictures)
@settings(deadline=None)
def test_clahe_gives_a_picture(pixels):
    assert clahe(pixels).shape == pixels.shape
    assert clahe(pixels).dtype == np.uint8


def test_denoising_takes_a_speck_away():
    speck = np.full((5, 5, 3), 50, np.uint8)
    speck[2, 2] = 250
    assert median(speck).tolist() == np.full((5, 5, 3), 50).tolist()
    assert 50 < gaussian(speck)[2, 2, 0] < 150


def test_a_letterbox_has_grey_bars():
    wide = letterbox(png(80, 40, "lime"), (8, 8))
    assert wide[:, 4].tolist() == [[127] * 3] * 2 + [[0, 255, 0]] * 4 + [[127] * 3] * 2
    high = letterbox(png(40, 80, "lime"), (8, 8))
    assert high.tolist() == wide.transpose(1, 0, 2).tolist()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_what_a_network_takes(name):
    pixels = VARIANTS[name](png(30, 20, (90, 60, 30)), (32, 32))
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
