"""Light: the same photo under another light. Images are RGB; nothing is written in place."""

from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageFilter

_BRIGHTNESS: Final = 0.2  # standard deviation of the logarithm of the gain of all three colours
_WHITE_BALANCE: Final = 0.08  # and of each colour's own: indoor light against daylight is some three times that
_CONTRAST: Final = 0.15  # and of the exponent
_SHADE: Final = 0.6  # the darkest that a shadow over the photo leaves of its light
_CAST: Final = 0.55  # the darkest that a fruit's own shadow leaves


def relight(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Change brightness, contrast and white balance at random, as another light and another camera would."""
    gains = np.exp(rng.normal(0, _BRIGHTNESS) + rng.normal(0, _WHITE_BALANCE, 3))
    exponent = np.exp(rng.normal(0, _CONTRAST))
    levels = np.linspace(0, 1, 256) ** exponent
    table = np.clip(255 * gains[:, None] * levels, 0, 255).round().astype(int)
    return photo.point(table.ravel().tolist())


def shade(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Let a soft shadow of something outside the photo, as of whoever takes it, fall over a part of it."""
    width, height = photo.size
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    across = np.cos(angle) * x + np.sin(angle) * y[:, None]
    softness = rng.uniform(0.05, 0.5)
    lit = 1 / (1 + np.exp(-(across - rng.uniform(-1, 0.5)) / softness))
    mask = Image.fromarray((255 * (1 - (1 - rng.uniform(_SHADE, 1)) * (1 - lit))).astype(np.uint8))
    return ImageChops.multiply(photo, Image.merge("RGB", (mask, mask, mask)))


def cast(photo: Image.Image, shape: Image.Image, at: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Let something that is to be set into a photo cast its shadow there.

    Parameters
    ----------
    shape : PIL.Image.Image
        Its alpha.
    at : tuple of int
        Left and top of it, in pixels.
    """
    side = max(shape.size)
    aside = rng.uniform(-0.12, 0.12, 2) * side
    dark = Image.new("L", photo.size, 0)
    dark.paste(shape, (round(at[0] + aside[0]), round(at[1] + abs(aside[1]))))
    dark = dark.filter(ImageFilter.GaussianBlur(0.06 * side))
    strength = 1 - rng.uniform(_CAST, 1)
    mask = dark.point([round(255 - strength * value) for value in range(256)])
    return ImageChops.multiply(photo, Image.merge("RGB", (mask, mask, mask)))
