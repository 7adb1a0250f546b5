"""Scenes, of fruit that is drawn: what is composed, and what finds it again."""

import csv

import numpy as np
import pytest
from PIL import Image

from benchmarks.scenes import Score
from local import scenes
from local.sample_photos import render, write_sample_photos
from local.scenes import Placed, Scenes, compose, cut_out
from spark_jobs.exact.regions import Region


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_sample_photos(folder / "fruits", ["Apple Red", "Lime", "Plum"], per_label=2, size=60, seed=1)
    (folder / "shop").mkdir()
    for number, colour in enumerate([(70, 90, 200), (90, 90, 90)]):
        Image.new("RGB", (200, 240), colour).save(folder / "shop" / f"{number}.jpg")
    return folder / "fruits", folder / "shop"


def test_a_fruit_is_cut_out_without_the_white_around_it():
    photo = render("Plum", 3, 100)
    fruit = cut_out(photo)
    assert fruit.mode == "RGBA"
    assert max(fruit.size) < 100
    alpha = np.asarray(fruit.getchannel("A")) > 0
    assert alpha.any(axis=0).all() and alpha.any(axis=1).all()  # cropped to it
    assert 0.6 < alpha.mean() < 0.95
    assert np.asarray(fruit)[alpha][:, :3].min(axis=1).max() < 225  # nothing white at its edge
    with pytest.raises(ValueError, match="nothing but white in the photo"):
        cut_out(Image.new("RGB", (50, 50), "white"))


def test_boxes_say_where_the_fruits_are():
    fruit = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    background = Image.new("RGB", (200, 200), (0, 0, 255))
    scene, placed = compose(background, [("a", fruit), ("b", fruit)], np.random.default_rng(0))
    assert {one.label for one in placed} == {"a", "b"}
    red = np.zeros((200, 200), bool)
    for left, top, right, bottom in (one.box for one in placed):
        assert 0.25 * 200 - 1 <= right - left <= 0.6 * 200 + 1
        assert abs((right - left) - 2 * (bottom - top)) <= 2
        red[top:bottom, left:right] = True
    np.testing.assert_array_equal(np.asarray(scene)[..., 0] == 255, red)
    assert np.asarray(background)[..., 0].max() == 0  # left as it was


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
    assert Score.of(placed, found, (200, 200)) == Score((True, False, False), 3)
    assert Score.of(placed, [region("Fig", 110, 5)], (200, 200)) == Score((False, True, False), 0)
