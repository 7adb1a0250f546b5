"""What a lake of fruit says of other things."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from local.sample_photos import LABELS, render
from spark_jobs.exact.basis import Request
from spark_jobs.extract_embeddings import extract
from spark_jobs.recognise import describe, recognise
from spark_jobs.reduce_embeddings import Options, reduce_run
from spark_jobs.running import shelf
from spark_jobs.tables.location import LakeLocation
from tests.lakes import new_lake, row, set_batch


def other_things(folder: Path) -> list[Path]:
    """Twenty pictures of no fruit: noise, stripes, tiles, lines, and pages of text."""
    rng, found = np.random.default_rng(0), []
    y, x = np.mgrid[0:224, 0:224]
    for number in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)).resize((224, 224))
        stripes = 127.5 + 127.5 * np.sin(x / (4 + number) + number * y / 9)
        tiles = 255 * ((x // (12 + 4 * number) + y // (12 + 4 * number)) % 2)
        lines, text = Image.new("RGB", (224, 224), (30, 60, 90)), Image.new("RGB", (224, 224), (250, 250, 245))
        for _ in range(40):
            ImageDraw.Draw(lines).line([tuple(p) for p in rng.integers(0, 224, (2, 2)).tolist()], (240, 240, 200), 2)
        for line in range(18):
            ImageDraw.Draw(text).text((6, 12 * line), f"No. {rng.integers(10**6):,} of a list of things", (0, 0, 0))
        grey = [Image.fromarray(one.astype(np.uint8)).convert("RGB") for one in (stripes, tiles)]
        for kind, picture in enumerate((coarse.filter(ImageFilter.GaussianBlur(1)), *grey, lines, text)):
            found.append(folder / f"{kind}-{number}.png")
            picture.save(found[-1])
    return found


def test_other_things_are_nothing_that_a_lake_of_fruit_knows(spark: None, exported: Any, tmp_path: Path) -> None:
    artefact = exported.artefact("efficientnet_lite0")
    paths, unseen = [], []
    for label in list(LABELS)[:6]:
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(36):
            path = tmp_path / "photos" / label / f"{number}.jpg"
            render(label, number, 112).save(path)
            (paths if number < 30 else unseen).append(path)
    things = other_things(tmp_path)
    lake = new_lake(tmp_path / "lake")
    location = LakeLocation.parse(str(tmp_path / "lake"), "orchard")
    shelf.put(location.root, shelf.load(str(artefact)))
    set_batch(lake, "r1", artefact.stem, [row(path) for path in paths])
    extract(lake, "r1", artefact.stem, str(artefact))
    reduced = reduce_run(lake, "r1", artefact.stem, Options(Request(components=20, variance=None)))
    assert reduced.accuracy_folds.judged >= 100  # fewer tell of no limit
    lake.close()

    answers, errors = recognise([str(path) for path in (*unseen, *things)], location)
    assert not errors
    fruit, other = answers[: len(unseen)], answers[len(unseen) :]
    assert sum(not one.known for one in other) == len(things) == 20
    assert sum(one.known for one in fruit) >= 0.9 * len(fruit)
    assert all(one.labels[0].label == Path(one.photo).parent.name for one in fruit)
    assert min(one.distance or 0 for one in other) > max(1.0, np.median([one.distance or 0 for one in fruit]))
    said = describe(other[0]).splitlines()
    assert said[0] == f"{other[0].photo}: nothing that the lake knows; the nearest of its photos:"
    assert len(said) == 6
    assert describe(fruit[0]).startswith(f"{fruit[0].photo}: {fruit[0].labels[0].label} ")
