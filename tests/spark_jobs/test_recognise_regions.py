"""recognise --regions, on a lake that is written without Spark."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from orchard.lake.tables import open_catalog, replace_run
from spark_jobs import recognise
from spark_jobs.answers import regions
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import open_engine
from tests.artefacts import colours, small

RED, GREEN, GREY = (200, 20, 20), (30, 160, 40), (120, 120, 130)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    return colours(tmp_path_factory.mktemp("colours"))


def write_lake(folder: Path, extractor: Extractor, moments: Moments) -> Path:
    recogniser = Recogniser.fit(moments)
    rows = {"run_id": "r1", "extractor_id": extractor.extractor_id, "created_at": datetime.now(UTC)}
    tables = {
        "recognisers": {
            "labels": list(recogniser.labels),
            "weights": recogniser.weights.tolist(),
            "biases": recogniser.biases.tolist(),
            "shrinkage": recogniser.shrinkage,
        },
        "moments": {"total": moments.pack()},
    }
    catalog = open_catalog(str(folder))
    for name, columns in tables.items():
        table = pa.Table.from_pylist([rows | columns])
        catalog.create_table(("orchard", name), table.schema).append(table)
    replace_run(catalog, "orchard", {"run_id": "r1", "extractor_id": extractor.extractor_id})
    return folder


@pytest.fixture(scope="module")
def lake(artefact, tmp_path_factory):
    """Of red apples and green limes, each all of its photo."""
    extractor = Extractor.load(artefact)
    rng = np.random.default_rng(0)
    pixels = [
        np.clip(np.array(colour) + rng.normal(0, 12, 3) + rng.normal(0, 9, (64, 64, 3)), 0, 255).astype(np.uint8)
        for colour in (RED, GREEN)
        for _ in range(20)
    ]
    embeddings = open_engine(extractor).embed(pixels)
    moments = Moments.of(embeddings, ["Apple"] * 20 + ["Lime"] * 20)
    return write_lake(tmp_path_factory.mktemp("lake"), extractor, moments)


@pytest.fixture
def photo(tmp_path):
    """Paint an apple on the left and a lime on the right, on grey; it lies on its side, as its EXIF says."""
    image = Image.new("RGB", (400, 200), GREY)
    image.paste(RED, (30, 60, 130, 130))
    image.paste(GREEN, (250, 80, 360, 150))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    path = tmp_path / "two.jpg"
    image.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)
    return path


def test_regions_are_told_in_pixels_of_the_upright_photo_and_drawn(lake, artefact, photo, tmp_path, capsys):
    pictures = tmp_path / "pictures"
    arguments = [str(photo), str(photo), "--lake", str(lake), "--extractor", str(artefact)]
    assert recognise.main([*arguments, "--regions", str(pictures), "--json"]) == 0
    one, again = json.loads(capsys.readouterr().out)
    assert one == again
    assert {region["label"] for region in one["regions"]} == {"Apple", "Lime"}
    expected = {"Apple": (80, 95), "Lime": (305, 115)}
    for region in one["regions"]:
        left, top, right, bottom = region["box"]
        x, y = expected[region["label"]]
        assert abs((left + right) / 2 - x) < 30
        assert abs((top + bottom) / 2 - y) < 30
        np.testing.assert_allclose(np.array(region["share"]) * [400, 200, 400, 200], region["box"], atol=0.5)
        assert 0.9 < region["probability"] <= 1
    assert sorted(path.name for path in pictures.iterdir()) == ["two-2.regions.jpg", "two.regions.jpg"]
    drawn, plain = Image.open(pictures / "two.regions.jpg"), np.asarray(Image.open(photo))
    assert drawn.size == (400, 200)
    assert np.abs(np.asarray(drawn).astype(int) - plain.transpose(1, 0, 2)[:, ::-1]).max() > 100
    assert sorted(tmp_path.iterdir()) == [pictures, photo]

    assert recognise.main([*arguments, "--regions", str(pictures)]) == 0
    assert "\n  Apple 100.0% from " in capsys.readouterr().out


def test_without_the_option_the_answer_is_as_it_was(lake, artefact, photo, monkeypatch, capsys):
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(regions, "Maps", never)
    assert recognise.main([str(photo), "--lake", str(lake), "--extractor", str(artefact), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert set(one) == {"photo", "labels", "neighbours", "parents", "distance", "known"}


def test_a_photo_of_one_fruit_is_one_region(lake, artefact, tmp_path, capsys):
    Image.new("RGB", (90, 60), RED).save(tmp_path / "apple.png")
    arguments = [str(tmp_path / "apple.png"), "--lake", str(lake), "--extractor", str(artefact), "--json"]
    assert recognise.main([*arguments, "--regions", str(tmp_path)]) == 0
    ((region,),) = [answer["regions"] for answer in json.loads(capsys.readouterr().out)]
    assert (region["label"], region["box"]) == ("Apple", [0, 0, 90, 60])


def test_in_a_lake_of_augmented_photos_one_that_stands_on_white_is_one_region(lake, artefact, tmp_path, capsys):
    """Such a lake's photos look like scenes: that a photo looks like one of them says nothing."""
    ours = tmp_path / "lake"
    extractor = Extractor.load(artefact)
    rng = np.random.default_rng(0)
    anything = rng.uniform(0, 255, (40, 1, 1, 3)) + rng.normal(0, 9, (40, 64, 64, 3))
    embeddings = open_engine(extractor).embed(list(np.clip(anything, 0, 255).astype(np.uint8)))
    write_lake(ours, extractor, Moments.of(embeddings, [f"Fruit {i % 8}" for i in range(40)]))
    image = Image.new("RGB", (200, 200), GREY)
    image.paste(RED, (20, 30, 90, 100))
    image.save(tmp_path / "on-grey.png")
    image = Image.new("RGB", (200, 200), "white")
    image.paste(RED, (20, 30, 90, 100))
    image.save(tmp_path / "on-white.png")
    arguments = ["--lake", str(ours), "--extractor", str(artefact), "--regions", str(tmp_path), "--json"]

    def boxes() -> list[list[list[int]]]:
        assert recognise.main([str(tmp_path / f"on-{of}.png") for of in ("grey", "white")] + arguments) == 0
        return [[one["box"] for one in answer["regions"]] for answer in json.loads(capsys.readouterr().out)]

    everything = [[0, 0, 200, 200]]
    assert boxes() == [everything, everything]
    row = {"run_id": "r2", "extractor_id": extractor.extractor_id, "augmented": 7}
    replace_run(open_catalog(str(ours)), "orchard", row)
    assert boxes() == [everything, everything]  # a run had some, and none is left
    mine = {"extractor_id": extractor.extractor_id, "run_id": "r2"}
    held = pa.Table.from_pylist([mine | {"uri": "file:///Apple/1.jpg.augmented-1.jpg"}])
    open_catalog(str(ours)).create_table(("orchard", "embeddings"), held.schema).append(held)
    on_grey, on_white = boxes()
    assert (on_grey != everything, on_white) == (True, everything)


def test_pictures_cannot_stand_where_a_file_is(lake, artefact, photo, capsys):
    assert recognise.main([str(photo), "--lake", str(lake), "--extractor", str(artefact), "--regions", str(photo)]) == 2
    assert f"error: --regions {photo}: expected a folder, or none yet; it is a file" in capsys.readouterr().err


def test_an_artefact_without_a_map_says_what_to_do(photo, tmp_path, capsys):
    """It works for everything else."""
    artefact = small(tmp_path)
    extractor = Extractor.load(artefact)
    rng = np.random.default_rng(0)
    moments = Moments.of(rng.random((20, 48)), ["Apple", "Lime"] * 10)
    lake = write_lake(tmp_path / "lake", extractor, moments)
    arguments = [str(photo), "--lake", str(lake), "--extractor", str(artefact)]
    assert recognise.main(arguments) == 0
    capsys.readouterr()
    assert recognise.main([*arguments, "--regions", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "holds no map of places, which regions are found in: export it again with the same options" in said
