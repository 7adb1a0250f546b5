"""Regions of a photo in pixels, found in its maps, named by their crops, and drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, EqualTo, GreaterThan, In

from orchard.lake.tables import table_or_none
from spark_jobs.augmenting.cutout import is_on_white
from spark_jobs.exact.augmented import is_augmented
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.regions import TIMES, Finder
from spark_jobs.exact.regions import Region as Found
from spark_jobs.extractor import drawing
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import Engine
from spark_jobs.extractor.maps import Maps, crops

_SURE = 0.5  # of one label, rather than of all others together


@dataclass(frozen=True)
class Region:
    """What stands where in a photo: left, top, right and bottom in pixels of the upright photo, and relative to it."""

    label: str
    probability: float
    box: tuple[int, int, int, int]
    share: tuple[float, float, float, float]


Look = Callable[[str, bytes, NDArray[np.float32]], tuple[Region, ...]]  # a photo's name, its bytes and its embedding


@dataclass(frozen=True, eq=False)
class Searcher:
    """What finds the regions of photos: a lake's discriminant, and the network that shows it their places.

    Attributes
    ----------
    augmented : bool
        Whether the lake holds augmented photos. They look like photos of several things, and so a photo of several
        looks like the lake's; what stands alone is then told by the white around it.
    """

    extractor: Extractor
    engine: Engine
    finder: Finder
    maps: tuple[Maps, ...]
    augmented: bool

    @classmethod
    def of(cls, extractor: Extractor, engine: Engine, moments: Moments, *, augmented: bool = False) -> "Searcher":
        """Make it of the moments of a whole lake."""
        finder = Finder.of(moments, extractor.spec.feature)
        return cls(extractor, engine, finder, tuple(Maps(extractor, times) for times in TIMES), augmented)

    def search(self, photo: Image.Image, data: bytes, embedding: NDArray[np.float32]) -> list[Found]:
        """Find the regions of a photo, the surest first; of one that shows one thing, as the lake's do, all of it."""
        usual = self.finder.is_usual(embedding)
        whole = self.finder.whole(embedding)
        if usual and (not self.augmented or is_on_white(photo)):
            return [whole]
        found = self.finder.regions(each.see(data) for each in self.maps)
        if usual and not found and whole.probability >= _SURE:  # a photo such as the lake's, that nothing stands out in
            return [whole]
        return [self.finder.named(one, self.engine.embed(crops(photo, one.box, self.extractor))) for one in found]


def looking(searcher: Searcher, pictures: Path) -> Look:
    """Give what finds a photo's regions, and draws them."""
    pictures.mkdir(parents=True, exist_ok=True)
    drawn: set[Path] = set()

    def look(name: str, data: bytes, embedding: NDArray[np.float32]) -> tuple[Region, ...]:
        photo = drawing.upright(data)
        regions = []
        for one in searcher.search(photo, data, embedding):
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


def holds_augmented(catalog: Catalog, database: str, extractor_id: str) -> bool:
    """Whether the lake holds augmented photos now: of the runs that found some, whether any is left."""
    runs, embeddings = (table_or_none(catalog, database, name) for name in ("runs", "embeddings"))
    if runs is None or embeddings is None or "augmented" not in runs.schema().column_names:  # of an older version
        return False
    found = runs.scan(GreaterThan("augmented", 0), selected_fields=("run_id",)).to_arrow()["run_id"].to_pylist()
    if not found:
        return False
    theirs = embeddings.scan(And(EqualTo("extractor_id", extractor_id), In("run_id", found)), selected_fields=("uri",))
    return any(is_augmented(uri) for batch in theirs.to_arrow_batch_reader() for uri in batch["uri"].to_pylist())
