"""How many fruits of composed scenes `recognise --regions` finds, and how often it sees one where there is none.

    python -m benchmarks.scenes LEARN --fruits OTHERS --backgrounds SHOP

Prints docs/recognition.md's table: of scenes (`local.scenes`) made of photos that the recogniser did not learn from.
"""

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from local.scenes import Scenes
from spark_jobs.answers.regions import Searcher
from spark_jobs.augmenting.composition import Placed
from spark_jobs.exact.augmented import is_augmented
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.regions import Region
from spark_jobs.export_extractor import export
from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import decode, open_engine
from spark_jobs.extractor.keras_models import build
from spark_jobs.measuring.sample import Sample

EDGES = (0.0, 0.3, 0.35, 0.4, 0.5, 1.0)  # of a fruit's longer side, as a share of the picture's width


@dataclass(frozen=True)
class Score:
    """What was found of a scene's fruits.

    Attributes
    ----------
    found : tuple of bool
        For each fruit, whether there is a region with its label whose centre lies in its box; a region counts once.
    false : int
        Regions that found nothing: of background, of a wrong label, or a second one of a fruit.
    sure : float
        Sum of all regions' probabilities: were they calibrated, the number of those that found something.
    """

    found: tuple[bool, ...]
    false: int
    sure: float

    @classmethod
    def of(cls, placed: Sequence[Placed], regions: Sequence[Region], size: tuple[int, int]) -> "Score":
        """Compare regions with what stands in a scene of that width and height."""
        left_over, found = list(regions), []
        for fruit in placed:
            fitting = (one for one in left_over if one.label == fruit.label and _within(one, fruit, size))
            region = next(fitting, None)
            found.append(region is not None)
            if region is not None:
                left_over.remove(region)
        return cls(tuple(found), len(left_over), sum(one.probability for one in regions))


def _within(region: Region, fruit: Placed, size: tuple[int, int]) -> bool:
    """Say whether a region's centre lies in a fruit's box."""
    x, y = ((region.box[i] + region.box[i + 2]) / 2 * size[i] for i in (0, 1))
    left, top, right, bottom = fruit.box
    return left <= x < right and top <= y < bottom


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scenes", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="LEARN", help="photos to learn from, a folder a label")
    parser.add_argument("--fruits", type=Path, required=True, help="others of the same labels, on white, to cut out")
    parser.add_argument("--backgrounds", type=Path, required=True, help="photos without fruit")
    parser.add_argument("--number", type=int, default=100, help="scenes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other scenes")
    parser.add_argument("--network", choices=list(ARCHITECTURES), default=DEFAULT, help="default: %(default)s")
    parser.add_argument("--weights", default="imagenet", help="of the network (default: %(default)s)")
    args = parser.parse_args(argv)
    architecture = ARCHITECTURES[args.network]
    extractor = export(architecture, build(architecture, args.weights))
    searcher = _learn(extractor, Sample.of(args.photos))
    scenes = Scenes.of(args.fruits, args.backgrounds, args.seed)

    def look(scene: Image.Image) -> list[Region]:
        file = io.BytesIO()
        scene.save(file, "JPEG", quality=92)
        embedding = searcher.engine.embed([decode(file.getvalue(), extractor)])[0]
        return searcher.search(Image.open(file).convert("RGB"), file.getvalue(), embedding)

    sides: list[float] = []
    found: list[bool] = []
    false, sure = 0, 0.0
    for number in range(1, args.number + 1):
        scene, placed = scenes[number]
        score = Score.of(placed, look(scene), scene.size)
        sides += [max(b[2] - b[0], b[3] - b[1]) / scene.width for b in (fruit.box for fruit in placed)]
        found += score.found
        false += score.false
        sure += score.sure
    print("| longer side, of the picture's width | fruits | found |\n|---|---|---|")
    at, right = np.array(sides), np.array(found)
    for least, most in pairwise(EDGES):
        here = (at >= least) & (at < most)
        if here.any():
            print(
                f"| {max(least, at.min()):.0%} to {min(most, at.max()):.0%} | {here.sum()} | {right[here].mean():.0%} |"
            )
    regions = right.sum() + false
    print(f"| all | {len(right)} | {right.mean():.1%} |\n\n{false / args.number:.2f} false regions a scene")
    print(f"regions are right in {right.sum() / regions:.1%}, and {sure / regions:.1%} sure on average", flush=True)
    alone = [look(Image.open(path)) for path in scenes.fruits[:: max(len(scenes.fruits) // args.number, 1)]]
    print(f"{sum(len(one) == 1 for one in alone)} of {len(alone)} photos of one fruit on white have one region")
    empty = [look(Image.open(path)) for path in scenes.backgrounds[:: max(len(scenes.backgrounds) // args.number, 1)]]
    print(f"{sum(map(len, empty)) / len(empty):.2f} regions a photo of {len(empty)} backgrounds without fruit")


def _learn(extractor: Extractor, sample: Sample) -> Searcher:
    engine = open_engine(extractor)
    labels, embeddings = [], []
    for path, label in zip(sample.files, sample.labels, strict=True):
        try:
            embeddings.append(engine.embed([decode(path.read_bytes(), extractor)])[0])
            labels.append(label)
        except photos.PhotoError:
            continue
    augmented = any(is_augmented(path.as_uri()) for path in sample.files)
    return Searcher.of(extractor, engine, Moments.of(np.stack(embeddings), labels), augmented=augmented)


if __name__ == "__main__":
    main()
