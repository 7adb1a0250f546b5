"""The centre crop: which part of a photo is seen."""

import argparse
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spark_jobs.extractor.crop import box, least, read_crop
from spark_jobs.extractor.photos import decode

sides = st.integers(1, 5000)


def encode(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("photo", "size", "crop", "expected"),
    [
        ((400, 300), (224, 224), 1.0, (50, 0, 350, 300)),
        ((300, 400), (224, 224), 1.0, (0, 50, 300, 350)),
        ((400, 400), (224, 224), 0.5, (100, 100, 300, 300)),
        ((400, 300), (200, 100), 1.0, (0, 50, 400, 250)),
        ((401, 300), (224, 224), 1.0, (50.5, 0, 350.5, 300)),  # half a pixel on each side
        ((10, 10), (224, 224), 0.8, (1, 1, 9, 9)),
    ],
)
def test_the_middle_is_seen(photo, size, crop, expected):
    assert box(photo, size, crop) == pytest.approx(expected)


@given(sides, sides, sides, sides, st.floats(0.5, 1.0))
@settings(deadline=None)
def test_it_lies_in_the_middle_and_has_the_shape_of_the_view(width, height, across, down, crop):
    left, upper, right, lower = box((width, height), (across, down), crop)
    assert 0 <= left + 1e-6 < right - 1e-6 <= width + 1e-6
    assert 0 <= upper + 1e-6 < lower - 1e-6 <= height + 1e-6
    assert left + right == pytest.approx(width)
    assert upper + lower == pytest.approx(height)
    assert (right - left) * down == pytest.approx((lower - upper) * across)
    assert max((right - left) / width, (lower - upper) / height) == pytest.approx(crop)


@given(sides, sides, st.floats(0.5, 1.0))
@settings(deadline=None)
def test_a_photo_is_large_enough_where_the_part_seen_is(across, down, crop):
    left, _, right, _ = box(least((across, down), crop), (across, down), crop)
    assert right - left >= across * (1 - 1e-9)


def assert_green(pixels):
    np.testing.assert_allclose(pixels, np.full(pixels.shape, (0, 255, 0)), atol=40)
    inside = pixels[2:-2, 2:-2]  # at the edge, resizing takes a little of what is beside it
    np.testing.assert_array_equal(inside, np.full(inside.shape, (0, 255, 0)))


def test_a_wide_photo_is_not_squeezed():
    thirds = Image.new("RGB", (90, 30), "red")
    thirds.paste("lime", (30, 0, 60, 30))
    thirds.paste("blue", (60, 0, 90, 30))
    assert_green(decode(encode(thirds), (8, 8), 1.0))
    squeezed = decode(encode(thirds), (9, 9))
    assert [squeezed[4, column].tolist() for column in (1, 4, 7)] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_a_frame_is_cut_off():
    framed = Image.new("RGB", (40, 40), "red")
    framed.paste("lime", (5, 5, 35, 35))
    assert_green(decode(encode(framed), (16, 16), 0.75))


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_photo_on_its_side_is_cut_as_it_is_seen(orientation):
    upright = Image.fromarray(np.random.default_rng(5).integers(0, 256, (31, 44, 3), dtype=np.uint8))
    lying = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # what Pillow undoes to make it upright
    exif = Image.Exif()
    exif[274] = orientation
    stored = upright.transpose(Image.Transpose(lying))
    seen = decode(encode(stored, exif=exif), (12, 12), 0.875).astype(int)
    assert np.abs(seen - decode(encode(upright), (12, 12), 0.875)).max() <= 1


def test_a_large_jpeg_is_decoded_at_a_scale_that_shows_all_that_is_seen():
    """At 0.5 of 64 pixels 32 are seen: at half the scale, which is enough without the crop, it would be 16."""
    image = Image.fromarray(np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = image.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC, (16, 16, 48, 48))
    data = encode(image, "JPEG", quality=100, subsampling=0)
    assert np.abs(decode(data, (32, 32), 0.5).astype(int) - np.asarray(whole)).mean() < 3


@pytest.mark.parametrize("share", ["0.4", "1.01", "0", "nan", "half", "-1", ""])
def test_shares_that_cannot_be(share):
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected a share from 0\.5 to 1\.0, as 0\.875"):
        read_crop(share)


def test_shares_are_read():
    assert [read_crop(share) for share in ("0.875", "1", "0.5")] == [0.875, 1.0, 0.5]
