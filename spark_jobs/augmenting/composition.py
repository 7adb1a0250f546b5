"""Compositions: what was cut out of photos, set into others at random, with boxes of where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from spark_jobs.augmenting.light import cast

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two exclusive."""


@dataclass(frozen=True)
class Placed:
    """A fruit in a scene."""

    label: str
    box: Box


def compose(
    background: Image.Image,
    fruits: Sequence[tuple[str, Image.Image]],
    sides: Sequence[float],
    rng: np.random.Generator,
    *,
    overlap: float = 0.1,
    shadows: bool = False,
) -> tuple[Image.Image, tuple[Placed, ...]]:
    """Set fruits into a photo, one after another; one for which there is no room left stays out.

    Parameters
    ----------
    fruits : sequence of (str, PIL.Image.Image)
        Labels, and what `cutout.cut_out` gives.
    sides : sequence of float
        Each fruit's longer side, as a share of the picture's width.
    overlap : float
        The largest share of the smaller of two boxes that lies in the other.
    """
    scene = background.convert("RGB")
    placed: list[Placed] = []
    for (label, fruit), side in zip(fruits, sides, strict=True):
        scale = side * scene.width / max(fruit.size)
        size = max(round(fruit.width * scale), 1), max(round(fruit.height * scale), 1)
        box = _room(size, scene.size, [one.box for one in placed], overlap, rng)
        if box:
            resized = fruit.resize(size, Image.Resampling.BICUBIC)
            if shadows:
                scene = cast(scene, resized.getchannel("A"), box[:2], rng)
            scene.paste(resized.convert("RGB"), box[:2], resized.getchannel("A"))
            placed.append(Placed(label, box))
    return scene, tuple(placed)


def _room(
    size: tuple[int, int], within: tuple[int, int], taken: Sequence[Box], overlap: float, rng: np.random.Generator
) -> Box | None:
    """Find a place at random where a fruit hides little of others."""
    if size[0] > within[0] or size[1] > within[1]:
        return None
    for _ in range(200):
        left, top = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(within, size, strict=True))
        box = (left, top, left + size[0], top + size[1])
        if all(_shared(box, other) <= overlap for other in taken):
            return box
    return None


def _shared(one: Box, other: Box) -> float:
    """Share of the smaller box that lies in the other."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) / smaller
