"""Sample photos of fruit, drawn by code: something to run the whole system on where no photos are at hand.

`python -m local.sample_photos DIR` writes one folder a kind, as the real data set has it: a fruit in a random pose and
light on white. Not for judging a recogniser: drawings are easier to tell apart than fruit.
"""

import argparse
import io
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float64]
"""One number a pixel."""

_SUPERSAMPLING: Final = 3
_BROWN: Final = (92, 64, 38)
_VINE: Final = (112, 120, 62)
_LEAF: Final = (74, 122, 44)


@dataclass(frozen=True)
class Body:
    """Where the pixels lie on one fruit, in its own frame: it stands upright, and reaches from about -1 to 1."""

    x: Field
    y: Field  # up
    noise: Callable[[int], Field]  # smooth, about -1 to 1, of so many cells across
    rng: np.random.Generator

    def angle(self, towards: float) -> Field:
        """Angle of each pixel as seen from the middle, from the direction `towards`, in -pi to pi."""
        angle: Field = np.angle(np.exp(1j * (np.arctan2(self.y, self.x) - towards)))
        return angle


@dataclass(frozen=True)
class Fruit:
    """How one kind looks."""

    height: Callable[[Body], Field]  # towards the viewer; not above 0 outside the fruit
    colour: tuple[int, int, int]
    blush: tuple[int, int, int]  # what the colour turns to, where `pattern` says so
    pattern: Callable[[Body], Field]  # 0: colour, 1: blush
    gloss: float  # strength of the highlight
    bumps: float = 0.0  # roughness of the skin
    stem: tuple[int, int, int] | None = None


_UP: Final = np.pi / 2


def _round(width: float, height: float, bulges: Sequence[tuple[float, float, float]] = ()) -> Callable[[Body], Field]:
    """Make an ellipsoid with `bulges`: direction, size (below 0: a dent), breadth in radians."""

    def shape(body: Body) -> Field:
        radius = np.ones_like(body.x)
        for direction, size, breadth in bulges:
            radius += size * np.exp(-((body.angle(direction) / breadth) ** 2))
        distance = np.hypot(body.x / width, body.y / height) / radius
        return np.sqrt(np.clip(1 - distance**2, 0, None))

    return shape


def _banana(body: Body) -> Field:
    # A tube bent around a point below the fruit, thinner towards its ends.
    radius = body.rng.uniform(1.0, 1.4)
    bend = 0.95 / radius
    y = body.y + radius - 0.2
    along = np.clip(np.arctan2(body.x, y), -bend, bend)
    away = np.hypot(body.x - radius * np.sin(along), y - radius * np.cos(along))
    thickness = 0.25 * (1 - 0.7 * (np.abs(along) / bend) ** 4)
    height: Field = np.sqrt(np.clip(1 - (away / thickness) ** 2, 0, None)) * thickness * 1.6
    return height


def _bunch(body: Body) -> Field:
    height = np.zeros_like(body.x)
    for row, berries in enumerate((3, 4, 3, 2, 1)):
        for berry in range(berries):
            x = (berry - (berries - 1) / 2) * 0.44 + body.rng.normal(0, 0.04)
            y = 0.66 - row * 0.36 + body.rng.normal(0, 0.04)
            rise = body.rng.uniform(0, 0.25)
            ball = np.sqrt(np.clip(1 - ((body.x - x) ** 2 + (body.y - y) ** 2) / 0.29**2, 0, None))
            height = np.maximum(height, np.where(ball > 0, ball * 0.5 + rise, 0))
    return height


def _plain(body: Body) -> Field:
    return 0.35 * body.noise(4)


def _cheek(body: Body) -> Field:
    towards = body.rng.uniform(-np.pi, np.pi)
    cheek: Field = 0.4 + 0.8 * (body.x * np.cos(towards) + body.y * np.sin(towards)) + 0.35 * body.noise(4)
    return cheek


def _streaks(body: Body) -> Field:
    # From stem to blossom, as meridians: close together at the sides.
    across = body.x / np.sqrt(np.clip(1 - body.y**2, 0.1, None))
    streaks: Field = 0.2 + 0.35 * np.sin(17 * across + 2 * body.noise(6)) * (0.6 + body.noise(8)) + 0.5 * body.noise(3)
    return streaks


def _stripes(body: Body) -> Field:
    across = body.x / np.sqrt(np.clip(1 - body.y**2, 0.05, None))
    stripes: Field = 0.5 + 1.5 * np.sin(13 * across + 1.2 * body.noise(12))
    return stripes


def _seeds(body: Body) -> Field:
    rows = np.round(body.y * 5.5)
    from_row = body.y * 5.5 - rows
    from_seed = (body.x * 5.5 + rows / 2 + 0.5) % 1 - 0.5
    return np.where(np.hypot(from_seed * 1.6, from_row) < 0.22, 1.0, 0.0)


def _tips(body: Body) -> Field:
    return np.clip((np.abs(body.x) - 0.78) * 9, 0, 1) + np.clip(body.noise(14) - 0.75, 0, 1)


def _fuzz(body: Body) -> Field:
    return 0.4 + 0.5 * body.noise(30) + 0.3 * body.noise(4)


_CREASE: Final = (_UP, -0.16, 0.2)

_FRUITS: Final = {
    "Apple Red": Fruit(
        _round(0.88, 0.84, [(_UP, -0.16, 0.3), (-_UP, -0.07, 0.3)]),
        (176, 24, 32),
        (226, 170, 70),
        _streaks,
        0.6,
        stem=_BROWN,
    ),
    "Banana": Fruit(_banana, (238, 205, 62), (86, 66, 34), _tips, 0.2),
    "Lemon": Fruit(
        _round(0.72, 0.58, [(0, 0.32, 0.22), (np.pi, 0.24, 0.2)]), (244, 214, 48), (226, 184, 30), _plain, 0.35, 0.25
    ),
    "Orange": Fruit(_round(0.84, 0.82), (240, 138, 24), (222, 104, 10), _plain, 0.35, 0.5),
    "Pear": Fruit(_round(0.64, 0.68, [(_UP, 0.52, 0.5)]), (188, 196, 74), (160, 134, 60), _cheek, 0.3, 0.1, _BROWN),
    "Plum": Fruit(_round(0.7, 0.84, [_CREASE]), (74, 30, 70), (122, 88, 132), _cheek, 0.25),
    "Grape Blue": Fruit(_bunch, (48, 40, 88), (92, 84, 132), _plain, 0.5, stem=_VINE),
    "Kiwi": Fruit(_round(0.64, 0.84), (122, 92, 52), (92, 66, 34), _fuzz, 0.05, 0.6),
    "Lime": Fruit(
        _round(0.78, 0.68, [(0, 0.14, 0.2), (np.pi, 0.1, 0.2)]), (92, 148, 40), (130, 168, 58), _plain, 0.45, 0.3
    ),
    "Peach": Fruit(_round(0.82, 0.8, [_CREASE]), (240, 178, 108), (202, 70, 58), _cheek, 0.05),
    "Strawberry": Fruit(
        _round(0.74, 0.8, [(-_UP, 0.22, 0.5), (_UP, -0.2, 0.8)]),
        (206, 28, 40),
        (236, 196, 100),
        _seeds,
        0.5,
        0.15,
        _LEAF,
    ),
    "Watermelon": Fruit(_round(0.96, 0.86), (112, 160, 84), (26, 74, 36), _stripes, 0.3),
}

LABELS: Final = tuple(_FRUITS)
"""The kinds that can be drawn; the first ones are those that differ most."""


def render(label: str, seed: int, size: int) -> Image.Image:
    """Draw one fruit.

    Parameters
    ----------
    label : str
        One of `LABELS`.
    seed : int
        Pose, scale, light, hue, skin and noise follow from it: not below 0.
    size : int
        Width and height in pixels.

    Returns
    -------
    PIL.Image.Image
        RGB, on white.
    """
    fruit = _FRUITS[label]
    rng = np.random.default_rng([zlib.crc32(label.encode()), seed])
    pixels = size * _SUPERSAMPLING
    body = _pose(pixels, rng)
    height = fruit.height(body)
    shade, highlight = _light(height + 0.012 * fruit.bumps * body.noise(40), pixels, rng)

    hue = rng.normal(1, 0.05, 3) * rng.uniform(0.88, 1.08)
    share = np.clip(fruit.pattern(body), 0, 1)[..., np.newaxis]
    skin = (np.array(fruit.colour) * (1 - share) + np.array(fruit.blush) * share) * hue
    lit = skin * shade[..., np.newaxis] + 255 * fruit.gloss * highlight[..., np.newaxis]

    canvas = np.full((pixels, pixels, 3), 255.0)
    if fruit.stem:
        canvas[_stem(body)] = np.array(fruit.stem) * hue
    canvas = np.where((height > 0)[..., np.newaxis], lit, canvas)
    if fruit.stem == _LEAF:
        canvas[_calyx(body)] = np.array(_LEAF) * hue
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.BOX)
    grain = rng.normal(0, rng.uniform(0.5, 3), (size, size, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def _pose(pixels: int, rng: np.random.Generator) -> Body:
    scale = rng.uniform(0.7, 0.92)
    turn = rng.uniform(-np.pi, np.pi)
    tilt = rng.uniform(0.86, 1.0)  # seen a little from above: shorter
    right, down = np.meshgrid(*[np.linspace(-1, 1, pixels) - shift for shift in rng.uniform(-0.04, 0.04, 2)])
    x = (right * np.cos(turn) - down * np.sin(turn)) / scale
    y = -(right * np.sin(turn) + down * np.cos(turn)) / (scale * tilt)

    def noise(cells: int) -> Field:
        coarse = Image.fromarray(rng.normal(0, 0.6, (cells, cells)).astype(np.float32))
        return np.asarray(coarse.resize((pixels, pixels), Image.Resampling.BICUBIC), dtype=np.float64)

    return Body(x, y, noise, rng)


def _light(height: Field, pixels: int, rng: np.random.Generator) -> tuple[Field, Field]:
    """Shade a relief: how bright each pixel is (about 0.4 to 1.1), and how much of a highlight it has."""
    down, right = np.gradient(height * pixels / 2 * 0.8)
    length = np.sqrt(1 + down**2 + right**2)
    towards = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.7, 0.1), 1.0])
    towards /= np.linalg.norm(towards)
    facing = np.clip((-right * towards[0] - down * towards[1] + towards[2]) / length, 0, 1)
    ambient = rng.uniform(0.4, 0.55)
    return ambient + (1.1 - ambient) * facing, facing ** rng.uniform(30, 60)


def _stem(body: Body) -> NDArray[np.bool_]:
    lean = body.rng.uniform(-0.25, 0.25)
    return (np.abs(body.x - lean * (body.y - 0.6)) < 0.045) & (body.y > 0.4) & (body.y < body.rng.uniform(0.95, 1.1))


def _calyx(body: Body) -> NDArray[np.bool_]:
    y = body.y - 0.62
    petals = 0.2 + 0.16 * np.cos(5 * np.arctan2(y, body.x))
    inside: NDArray[np.bool_] = np.hypot(body.x, y * 1.6) < petals
    return inside


def write_sample_photos(folder: Path, labels: Sequence[str], per_label: int, size: int, seed: int) -> int:
    """Write `per_label` photos of each kind, as `folder/<label>/<label slug>_0001.jpg` and so on.

    The same arguments give the same bytes; a kind's photos do not depend on which others are written.

    Parameters
    ----------
    folder : Path
        Made if it is not there. Must be empty.
    labels : sequence of str
        Out of `LABELS`.
    per_label : int
        Photos of each kind.
    size : int
        Width and height in pixels.
    seed : int
        Another seed gives other photos.

    Returns
    -------
    int
        How many photos were written.

    Raises
    ------
    ValueError
        If a label is not one of `LABELS`.
    FileExistsError
        If `folder` holds anything.
    """
    if unknown := [label for label in labels if label not in _FRUITS]:
        raise ValueError(f"no such fruit: {', '.join(unknown)}; there are {', '.join(LABELS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not an empty folder: name another one, or empty it first")
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(1, per_label + 1):
            buffer = io.BytesIO()
            render(label, seed * 100_000 + number, size).save(buffer, "JPEG", quality=92)
            (folder / label / f"{label.lower().replace(' ', '_')}_{number:04}.jpg").write_bytes(buffer.getvalue())
    return len(labels) * per_label


def main(argv: Sequence[str] | None = None) -> int:
    """Write sample photos as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m local.sample_photos", description="Draw sample photos of fruit.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="a new or an empty folder")
    parser.add_argument("--labels", type=int, default=6, choices=range(1, len(LABELS) + 1), help="kinds of fruit")
    parser.add_argument("--per-label", type=int, default=40, help="photos of each kind")
    parser.add_argument("--size", type=int, default=100, help="width and height in pixels")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other photos")
    options = parser.parse_args(argv)
    try:
        photos = write_sample_photos(
            options.folder, LABELS[: options.labels], options.per_label, options.size, options.seed
        )
    except (FileExistsError, ValueError) as error:
        parser.error(str(error))
    print(f"{photos} photos of {options.labels} kinds of fruit in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
