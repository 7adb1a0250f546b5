"""The recipe: what an augmented photo shows of the photo that it is made of."""

from typing import Final

import numpy as np
from PIL import Image

from spark_jobs.augmenting.composition import compose
from spark_jobs.augmenting.cutout import cut_out, is_on_white
from spark_jobs.augmenting.light import relight, shade

SIDE: Final = 512  # pixels of an augmented photo's longer side
_MOST: Final = 12  # of the same fruit in one photo
_HEAPED: Final = 0.5  # how much of the smaller of two may lie behind the other
_SIDES: Final = (0.3, 0.9)  # of a single fruit's longer side, as a share of the picture's shorter one
_SEVERAL: Final = 0.5  # share of photos that show more than one
_KEPT: Final = 0.5  # the least that is kept of a photo's area, where the photo is not cut out
_HIDDEN: Final = 0.3  # share of photos that have something before them


def augment(
    photo: Image.Image,
    rng: np.random.Generator,
    background: Image.Image | None = None,
    in_front: Image.Image | None = None,
) -> Image.Image:
    """Make a photo as it might be taken elsewhere.

    Parameters
    ----------
    photo : PIL.Image.Image
        RGB.
    background : PIL.Image.Image, optional
        A photo of somewhere else: what stands on white in `photo` is cut out, turned, and set before it, once to
        twelve times, with a shadow. Without, and of what does not stand on white, a part of the photo is kept as it is.
    in_front : PIL.Image.Image, optional
        With alpha, of a hand, say: reaches into some photos from their edge.
    """
    if background is not None and is_on_white(photo):
        made = _elsewhere(cut_out(photo), background, rng)
    else:
        made = _framed(photo, rng)
    if in_front is not None and rng.random() < _HIDDEN:
        made = _covered(made, in_front, rng)
    return relight(shade(made, rng), rng)


def _elsewhere(fruit: Image.Image, background: Image.Image, rng: np.random.Generator) -> Image.Image:
    count = int(rng.integers(2, _MOST + 1)) if rng.random() < _SEVERAL else 1
    behind = _fitted(_mirrored(background, rng))
    share = min(behind.size) / behind.width  # so that the first one always has room
    sides = share * np.sort(rng.uniform(_SIDES[0], max(_SIDES[0], _SIDES[1] / count**0.5), count))[::-1]
    # All of the one photo: what is learnt of the augmented photo is what its origin shows.
    fruits = [("", _turned(_mirrored(fruit, rng), rng)) for _ in sides]
    return compose(behind, fruits, sides.tolist(), rng, overlap=_HEAPED, shadows=True)[0]


def _turned(fruit: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turn a cut-out by any angle."""
    turned = fruit.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC, expand=True)
    return turned.crop(turned.getchannel("A").getbbox())


def _framed(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    kept = rng.uniform(_KEPT, 1) ** 0.5
    width, height = (round(kept * side) for side in photo.size)
    left, top = rng.integers(0, photo.width - width + 1), rng.integers(0, photo.height - height + 1)
    return _fitted(_mirrored(photo, rng).crop((left, top, left + width, top + height)))


def _covered(photo: Image.Image, thing: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Let something reach into a photo from its edge: its middle stands on the edge."""
    scale = rng.uniform(0.3, 0.6) * max(photo.size) / max(thing.size)
    size = max(round(thing.width * scale), 1), max(round(thing.height * scale), 1)
    resized = _mirrored(thing.convert("RGBA"), rng).resize(size, Image.Resampling.BICUBIC)
    along, (right, bottom) = rng.random(), photo.size
    x, y = [(along * right, 0), (along * right, bottom), (0, along * bottom), (right, along * bottom)][rng.integers(4)]
    made = photo.copy()
    made.paste(resized.convert("RGB"), (round(x - size[0] / 2), round(y - size[1] / 2)), resized.getchannel("A"))
    return made


def _mirrored(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image


def _fitted(photo: Image.Image) -> Image.Image:
    """Make a photo as large as augmented ones are at most, if it is larger."""
    smaller = photo.convert("RGB")
    smaller.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return smaller
