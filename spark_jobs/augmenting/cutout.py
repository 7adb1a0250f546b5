"""Cut-outs: what stands on white in a photo, without the white, as Fruits-360 shows its fruit."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

_WHITE: Final = 225  # the least of a white pixel's three numbers: JPEG leaves grey around a fruit
_EDGE: Final = 0.75  # of a photo's edge is white where something stands on white: large fruit touches it


def is_on_white(photo: Image.Image) -> bool:
    """Say whether a photo shows something on white, and not white alone."""
    white = _pixels(photo).min(axis=2) >= _WHITE
    edge = np.concatenate([white[0], white[-1], white[1:-1, 0], white[1:-1, -1]])
    return bool(edge.mean() >= _EDGE and _standing(white).any())


def cut_out(photo: Image.Image) -> Image.Image:
    """Cut a fruit out of a photo on white: RGBA, cropped to the fruit; white inside the fruit stays.

    Raises
    ------
    ValueError
        If the photo is all white.
    """
    pixels = _pixels(photo)
    fruit = _standing(pixels.min(axis=2) >= _WHITE)
    if not fruit.any():
        raise ValueError("there is nothing but white in the photo; expected a fruit")
    pieces, _ = ndimage.label(fruit)
    fruit = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    # A pixel less all around, where JPEG mixed the fruit with white.
    alpha = np.where(ndimage.binary_erosion(fruit), 255, 0).astype(np.uint8)
    whole = Image.fromarray(np.dstack([pixels, alpha]))
    return whole.crop(whole.getchannel("A").getbbox())


def _pixels(photo: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(photo.convert("RGB"))


def _standing(white: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find what no way through white leads to from outside, but for specks."""
    pieces, _ = ndimage.label(np.pad(white, 1, constant_values=True))
    found: NDArray[np.bool_] = ndimage.binary_opening((pieces != pieces[0, 0])[1:-1, 1:-1])
    return found
