"""Scenes composed of fruit on photos without fruit, with what stands where in them: to try out `recognise --regions`.

`python -m local.scenes --fruits DIR --backgrounds DIR --out DIR` cuts fruit out of photos that show one each on white,
as Fruits-360 has them (one folder a label), and sets 1 to 6 of them into each scene. Not for learning from: nothing
casts a shadow, and each fruit has its own light.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from scipy import ndimage

MOST: Final = 6  # fruits a scene
SIZES: Final = (0.25, 0.6)  # of a fruit's longer side, as a share of the picture's width
_COVERED: Final = 0.6  # at most this share of the width squared is asked for by all fruits together
_OVERLAP: Final = 0.1  # of the smaller of two boxes
_WHITE: Final = 225  # the least of a white pixel's three numbers: JPEG leaves grey around a fruit
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two exclusive."""


@dataclass(frozen=True)
class Placed:
    """A fruit in a scene."""

    label: str
    box: Box


def cut_out(photo: Image.Image) -> Image.Image:
    """Cut a fruit out of a photo on white: RGBA, cropped to the fruit; white inside the fruit stays.

    Raises
    ------
    ValueError
        If the photo is all white.
    """
    pixels = np.asarray(photo.convert("RGB"))
    pieces, _ = ndimage.label(np.pad(pixels.min(axis=2) >= _WHITE, 1, constant_values=True))
    fruit = ndimage.binary_opening((pieces != pieces[0, 0])[1:-1, 1:-1])
    if not fruit.any():
        raise ValueError("there is nothing but white in the photo; expected a fruit")
    pieces, _ = ndimage.label(fruit)
    fruit = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    # A pixel less all around, where JPEG mixed the fruit with white.
    alpha = np.where(ndimage.binary_erosion(fruit), 255, 0).astype(np.uint8)
    whole = Image.fromarray(np.dstack([pixels, alpha]))
    return whole.crop(whole.getchannel("A").getbbox())


def compose(
    background: Image.Image, fruits: Sequence[tuple[str, Image.Image]], rng: np.random.Generator
) -> tuple[Image.Image, tuple[Placed, ...]]:
    """Set fruits into a photo, largest first; one for which there is no room left stays out.

    Parameters
    ----------
    fruits : sequence of (str, PIL.Image.Image)
        Labels, and what `cut_out` gives.
    """
    scene = background.convert("RGB")
    most = max(SIZES[0], min(SIZES[1], (_COVERED / len(fruits)) ** 0.5))
    sides = sorted(rng.uniform(SIZES[0], most, len(fruits)), reverse=True)
    placed: list[Placed] = []
    for (label, fruit), side in zip(fruits, sides, strict=True):
        scale = side * scene.width / max(fruit.size)
        size = round(fruit.width * scale), round(fruit.height * scale)
        box = _room(size, scene.size, [one.box for one in placed], rng)
        if box:
            resized = fruit.resize(size, Image.Resampling.BICUBIC)
            scene.paste(resized.convert("RGB"), box[:2], resized.getchannel("A"))
            placed.append(Placed(label, box))
    return scene, tuple(placed)


def _room(size: tuple[int, int], within: tuple[int, int], taken: Sequence[Box], rng: np.random.Generator) -> Box | None:
    """Find a place at random where a fruit hides little of others."""
    if size[0] > within[0] or size[1] > within[1]:
        return None
    for _ in range(200):
        left, top = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(within, size, strict=True))
        box = (left, top, left + size[0], top + size[1])
        if all(_shared(box, other) <= _OVERLAP for other in taken):
            return box
    return None


def _shared(one: Box, other: Box) -> float:
    """Share of the smaller box that lies in the other."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) / smaller


@dataclass(frozen=True, eq=False)
class Scenes:
    """Photos to compose scenes of; scene `number` of the same seed is the same whatever else is composed."""

    fruits: tuple[Path, ...]
    backgrounds: tuple[Path, ...]
    seed: int = 0

    @classmethod
    def of(cls, fruits: Path, backgrounds: Path, seed: int = 0) -> "Scenes":
        """Find the photos.

        Raises
        ------
        FileNotFoundError
            If a folder holds none.
        """
        return cls(_photos(fruits), _photos(backgrounds), seed)

    def __getitem__(self, number: int) -> tuple[Image.Image, tuple[Placed, ...]]:
        """Compose a scene; all labels are as frequent, whatever number of photos they have."""
        rng = np.random.default_rng([self.seed, number])
        by_label: dict[str, list[Path]] = {}
        for path in self.fruits:
            by_label.setdefault(path.parent.name, []).append(path)
        chosen = []
        for _ in range(rng.integers(1, MOST + 1)):
            label = sorted(by_label)[rng.integers(len(by_label))]
            with Image.open(by_label[label][rng.integers(len(by_label[label]))]) as photo:
                chosen.append((label, cut_out(photo)))
        with Image.open(self.backgrounds[rng.integers(len(self.backgrounds))]) as background:
            return compose(background, chosen, rng)


def _photos(folder: Path) -> tuple[Path, ...]:
    found = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES))
    if not found:
        raise FileNotFoundError(f"no photo in {folder}; expected .jpg or .png files")
    return found


def write(scenes: Scenes, number: int, folder: Path) -> int:
    """Write scenes as ``scene-0001.jpg`` and so on, and ``boxes.csv``; return how many fruits there are.

    Raises
    ------
    FileExistsError
        If `folder` holds anything.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not an empty folder: name another one, or empty it first")
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with (folder / "boxes.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["photo", "label", "left", "top", "right", "bottom"])
        for i in range(1, number + 1):
            scene, placed = scenes[i]
            name = f"scene-{i:04}.jpg"
            scene.save(folder / name, "JPEG", quality=92)
            rows.writerows([name, one.label, *one.box] for one in placed)
            count += len(placed)
    return count


def main(argv: Sequence[str] | None = None) -> int:
    """Write scenes as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m local.scenes", description=__doc__)
    parser.add_argument("--fruits", required=True, type=Path, metavar="DIR", help="fruit on white, a folder a label")
    parser.add_argument("--backgrounds", required=True, type=Path, metavar="DIR", help="photos without fruit")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new or an empty folder")
    parser.add_argument("--number", type=int, default=100, help="scenes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other scenes")
    options = parser.parse_args(argv)
    try:
        count = write(Scenes.of(options.fruits, options.backgrounds, options.seed), options.number, options.out)
    except (FileExistsError, FileNotFoundError) as error:
        parser.error(str(error))
    print(f"{options.number} scenes with {count} fruits in {options.out}; boxes.csv says where they are")
    return 0


if __name__ == "__main__":
    sys.exit(main())
