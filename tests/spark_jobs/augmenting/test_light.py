"""Another light, on grey and on red."""

import numpy as np
from PIL import Image

from spark_jobs.augmenting.light import cast, relight, shade


def many(change, photo: Image.Image) -> np.ndarray:  # type: ignore[no-untyped-def,type-arg]
    """Change a photo 300 times, and return the pixels of all."""
    rng = np.random.default_rng(0)
    return np.stack([np.asarray(change(photo, rng)) for _ in range(300)])


def test_light_changes_brightness_and_white_balance_and_nothing_else() -> None:
    colours = many(relight, Image.new("RGB", (2, 2), (120, 120, 120)))
    assert np.ptp(colours, axis=(1, 2)).max() == 0  # of a photo of one colour, all of it
    logarithms = np.log(colours[:, 0, 0] / 120)
    brightness = logarithms.mean(axis=1)
    assert 0.15 < brightness.std() < 0.25
    assert 0.05 < (logarithms - brightness[:, None]).std() < 0.1
    assert abs(brightness.mean()) < 0.06
    steps = np.tile(np.arange(0, 250, 25, dtype=np.uint8)[None, :, None], (1, 1, 3))
    assert (np.diff(many(relight, Image.fromarray(steps)).astype(int), axis=2) >= 0).all()  # what is brighter stays so


def test_a_shadow_darkens_a_part() -> None:
    grey = many(shade, Image.new("RGB", (40, 30), (200, 200, 200)))
    assert grey.shape == (300, 30, 40, 3)
    assert grey.max() <= 200
    assert 0.55 * 200 < grey.min() < 0.7 * 200
    darkest, brightest = grey.min(axis=(1, 2, 3)), grey.max(axis=(1, 2, 3))
    assert np.mean(brightest - darkest > 20) > 0.4  # a part, and not all of it alike


def test_a_fruit_casts_its_shadow_around_it() -> None:
    photo = Image.new("RGB", (100, 100), (200, 200, 200))
    found = np.asarray(cast(photo, Image.new("L", (20, 20), 255), (40, 40), np.random.default_rng(0))).astype(int)
    assert found[50, 50, 0] < 160
    assert (found[:10] == 200).all()
    assert found.max() == 200
