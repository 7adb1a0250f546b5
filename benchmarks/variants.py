"""Variants: what could be done to a photo before a network sees it, to be measured.

Of these the centre crop alone is offered (`spark_jobs.extractor.crop`), as none of the others helps anywhere:
`python -m benchmarks.preprocessing`.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from spark_jobs.extractor import photos
from spark_jobs.extractor.engines import Pixels
from spark_jobs.measuring.seen import Decode

_TILES = 8
_CLIP = 2.0
_GREY = 127


def grey_world(pixels: Pixels) -> Pixels:
    """White balance: each colour is scaled so that all have one mean (Buchsbaum 1980)."""
    means = pixels.reshape(-1, 3).mean(axis=0)
    if means.min() == 0:
        return pixels
    return np.asarray(np.clip(pixels * (means.mean() / means) + 0.5, 0, 255), np.uint8)


def clahe(pixels: Pixels) -> Pixels:
    """Equalise the histogram of the luminance, tile by tile and with limited contrast (Zuiderveld 1994)."""
    colours = np.array(Image.fromarray(pixels).convert("YCbCr"))
    colours[..., 0] = equalised(colours[..., 0])
    return np.asarray(Image.fromarray(colours, "YCbCr").convert("RGB"))


def equalised(grey: NDArray[np.uint8], tiles: int = _TILES, clip: float = _CLIP) -> NDArray[np.uint8]:
    """CLAHE of one channel of at least `tiles` pixels a side: between the tiles' middles their curves are blended."""
    height, width = grey.shape
    tile = (np.arange(height) * tiles // height)[:, None] * tiles + np.arange(width) * tiles // width
    histograms = np.bincount((tile * 256 + grey).ravel(), minlength=tiles**2 * 256).reshape(tiles**2, 256)
    counts = histograms.sum(axis=1, keepdims=True)
    limit = clip * counts / 256
    clipped = np.minimum(histograms, limit)
    clipped += (counts - clipped.sum(axis=1, keepdims=True)) / 256
    curves = (np.cumsum(clipped, axis=1) * 255 / counts).reshape(tiles, tiles, 256)
    (row, below), (column, after) = _between(height, tiles), _between(width, tiles)
    row, below = row[:, None], below[:, None]
    upper = curves[row, column, grey] * (1 - after) + curves[row, column + 1, grey] * after
    lower = curves[row + 1, column, grey] * (1 - after) + curves[row + 1, column + 1, grey] * after
    blended = upper * (1 - below) + lower * below
    return np.asarray(np.clip(blended + 0.5, 0, 255), np.uint8)


def _between(side: int, tiles: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Say for each pixel of a side the tile whose middle is before it, and how far it is from there to the next."""
    at = np.clip((np.arange(side) + 0.5) * tiles / side - 0.5, 0, tiles - 1)
    before = np.minimum(at.astype(np.int64), tiles - 2)
    return before, at - before


def median(pixels: Pixels) -> Pixels:
    """Denoise: the median of 3 x 3 pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(3)))


def gaussian(pixels: Pixels) -> Pixels:
    """Denoise: Gaussian, of a standard deviation of one pixel."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1)))


def letterbox(data: bytes, size: tuple[int, int]) -> Pixels:
    """Decode a photo to all of it, unsqueezed, between grey bars."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", size)
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(ImageOps.pad(upright, size, Image.Resampling.BICUBIC, color=(_GREY,) * 3))


def _then(change: Callable[[Pixels], Pixels], data: bytes, size: tuple[int, int]) -> Pixels:
    return change(photos.decode(data, size))


VARIANTS: Mapping[str, Decode] = {
    "all of the photo, squeezed": photos.decode,
    "white balance, grey world": partial(_then, grey_world),
    "histogram equalisation, CLAHE": partial(_then, clahe),
    "denoising, median of 3 x 3": partial(_then, median),
    "denoising, Gaussian": partial(_then, gaussian),
    "letterbox": letterbox,
    "centre crop, `--crop 1`": partial(photos.decode, crop=1.0),
    "centre crop, `--crop 0.875`": partial(photos.decode, crop=0.875),
}
