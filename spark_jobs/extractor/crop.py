"""The centre crop: the middle of a photo in the shape of the network's input, in place of all of it, squeezed.

It is how the networks were judged on ImageNet (there 0.875): what stands in a photo stands in its middle. What other
preprocessing does, and why none is offered, is in docs/recognition.md.
"""

import argparse
from math import ceil

CROPS = (0.5, 1.0)


def box(photo: tuple[int, int], size: tuple[int, int], crop: float) -> tuple[float, float, float, float]:
    """Say which part of a photo is seen.

    Parameters
    ----------
    photo, size : tuple of int
        Widths and heights: the photo's and the view's.
    crop : float
        Share of the largest part of the photo that has the view's shape, by its width; 1 is all of that part.

    Returns
    -------
    tuple of float
        Left, upper, right and lower edge in the photo's pixels: as far from the left as from the right, so that a photo
        may be turned before or after.
    """
    scale = min(photo[0] / size[0], photo[1] / size[1]) * crop
    width, height = size[0] * scale, size[1] * scale
    return (photo[0] - width) / 2, (photo[1] - height) / 2, (photo[0] + width) / 2, (photo[1] + height) / 2


def least(size: tuple[int, int], crop: float) -> tuple[int, int]:
    """Width and height that a photo must have so that the part seen is not below a view's size."""
    return ceil(size[0] / crop), ceil(size[1] / crop)


def read_crop(share: str) -> float:
    """Read the option ``--crop``, ``0.875``, for argparse."""
    try:
        found = float(share)
    except ValueError:
        found = 0.0
    if not CROPS[0] <= found <= CROPS[1]:  # nor NaN
        raise argparse.ArgumentTypeError(f"got {share!r}; expected a share from {CROPS[0]} to {CROPS[1]}, as 0.875")
    return found
