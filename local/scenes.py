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

from spark_jobs.augmenting.composition import Placed, compose
from spark_jobs.augmenting.cutout import cut_out

MOST: Final = 6  # fruits a scene
SIZES: Final = (0.25, 0.6)  # of a fruit's longer side, as a share of the picture's width
_COVERED: Final = 0.6  # at most this share of the width squared is asked for by all fruits together
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")


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
            most = max(SIZES[0], min(SIZES[1], (_COVERED / len(chosen)) ** 0.5))
            return compose(background, chosen, sorted(rng.uniform(SIZES[0], most, len(chosen)), reverse=True), rng)


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
