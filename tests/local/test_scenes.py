"""Scenes, of fruit that is drawn: what is composed, and what finds it again."""

import csv

import pytest
from PIL import Image

from benchmarks.scenes import Score
from local import scenes
from local.sample_photos import write_sample_photos
from local.scenes import Scenes
from spark_jobs.augmenting.composition import Placed
from spark_jobs.exact.regions import Region


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_sample_photos(folder / "fruits", ["Apple Red", "Lime", "Plum"], per_label=2, size=60, seed=1)
    (folder / "shop").mkdir()
    for number, colour in enumerate([(70, 90, 200), (90, 90, 90)]):
        Image.new("RGB", (200, 240), colour).save(folder / "shop" / f"{number}.jpg")
    return folder / "fruits", folder / "shop"


def test_scenes_are_the_same_by_their_seed_and_written(folders, tmp_path):
    fruits, shop = folders
    arguments = ["--fruits", str(fruits), "--backgrounds", str(shop), "--number", "4"]
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert scenes.main([*arguments, "--seed", seed, "--out", str(tmp_path / name)]) == 0
    a, b, c = ((tmp_path / name / "boxes.csv").read_text() for name in "abc")
    assert a == b != c
    assert (tmp_path / "a" / "scene-0001.jpg").read_bytes() == (tmp_path / "b" / "scene-0001.jpg").read_bytes()
    rows = list(csv.DictReader(a.splitlines()))
    assert {row["photo"] for row in rows} <= {f"scene-000{i}.jpg" for i in range(1, 5)}
    assert {row["label"] for row in rows} <= {"Apple Red", "Lime", "Plum"}
    placed = Scenes.of(fruits, shop)[1][1]
    assert [tuple(int(row[side]) for side in ("left", "top", "right", "bottom")) for row in rows[: len(placed)]] == [
        one.box for one in placed
    ]


def test_what_cannot_be_is_said(folders, tmp_path, capsys):
    fruits, shop = folders
    (tmp_path / "full" / "of").mkdir(parents=True)
    for out, of, words in (
        (tmp_path / "full", fruits, "is not an empty folder"),
        (tmp_path / "x", tmp_path, "no photo"),
    ):
        with pytest.raises(SystemExit):
            scenes.main(["--fruits", str(of), "--backgrounds", str(shop), "--out", str(out)])
        assert words in capsys.readouterr().err


def test_a_region_counts_once_by_its_centre_and_its_label():
    placed = [Placed("Fig", (0, 0, 50, 50)), Placed("Fig", (100, 0, 150, 50)), Placed("Lime", (0, 100, 50, 150))]

    def region(label, left, top):
        return Region(label, 1.0, (left / 200, top / 200, (left + 40) / 200, (top + 40) / 200))

    found = [region("Fig", 5, 5), region("Fig", 15, 15), region("Plum", 0, 105), region("Lime", 150, 150)]
    assert Score.of(placed, found, (200, 200)) == Score((True, False, False), 3, 4.0)
    assert Score.of(placed, [region("Fig", 110, 5)], (200, 200)) == Score((False, True, False), 0, 1.0)
