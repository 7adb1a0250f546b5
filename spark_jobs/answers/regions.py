"""Regions of a photo in pixels, found in its maps, named by their crops, and drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_jobs.exact.moments import Moments
from spark_jobs.exact.regions import TIMES, Finder
from spark_jobs.extractor import drawing
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import Engine
from spark_jobs.extractor.maps import Maps, crops


@dataclass(frozen=True)
class Region:
    """What stands where in a photo: left, top, right and bottom in pixels of the upright photo, and relative to it."""

    label: str
    probability: float
    box: tuple[int, int, int, int]
    share: tuple[float, float, float, float]


Look = Callable[[str, bytes, NDArray[np.float32]], tuple[Region, ...]]  # a photo's name, its bytes and its embedding


def looking(extractor: Extractor, engine: Engine, moments: Moments, pictures: Path) -> Look:
    """Give what finds a photo's regions, and draws them."""
    maps = [Maps(extractor, times) for times in TIMES]
    finder = Finder.of(moments, extractor.spec.feature)
    pictures.mkdir(parents=True, exist_ok=True)
    drawn: set[Path] = set()

    def look(name: str, data: bytes, embedding: NDArray[np.float32]) -> tuple[Region, ...]:
        photo = drawing.upright(data)
        regions = []
        for found in finder.regions(embedding, (each.see(data) for each in maps)):
            one = found
            if not found.is_whole:
                one = finder.named(found, engine.embed(crops(photo, found.box, extractor)))
            left, top, right, bottom = one.box
            box = (left * photo.width, top * photo.height, right * photo.width, bottom * photo.height)
            pixels = tuple(map(round, box))
            regions.append(Region(one.label, one.probability, pixels, one.box))  # type: ignore[arg-type]
        number, stem = 1, Path(name).stem
        while (path := pictures / f"{stem}{f'-{number}' if number > 1 else ''}.regions.jpg") in drawn:
            number += 1
        drawn.add(path)
        drawing.draw(photo, [(f"{one.label} {one.probability:.0%}", one.box) for one in regions]).save(path, quality=90)
        return tuple(regions)

    return look
