"""The tables of docs/recognition.md: what stands in them, and where they come from."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import accuracy, preprocessing
from benchmarks.data_sets import data_sets
from benchmarks.preprocessing import Gain
from local.docs import END, between
from local.sample_photos import LABELS, write_sample_photos


def test_a_gain_and_its_interval():
    before = np.array([False] * 50 + [True] * 50)
    after = np.array([True] * 10 + [False] * 40 + [True] * 50)
    alone = Gain.of(before, after, np.arange(100))
    # 10 of 100 differ: 1.96 x sqrt(0.1 x 0.9 / 100)
    assert (alone.points, alone.low, alone.high) == pytest.approx((10, 10 - 5.88, 10 + 5.88), abs=0.01)
    assert str(alone) == "**+10.0 (+4.1 to +15.9)**"
    together = Gain.of(before, after, np.repeat(np.arange(10), 10))  # all ten are one group: it says less
    assert together.points == alone.points
    assert str(together) == "+10.0 (-8.6 to +28.6)"
    assert str(Gain.of(before, before, np.arange(100))) == "+0.0 (+0.0 to +0.0)"


def test_data_sets_that_are_not_there(tmp_path):
    (tmp_path / "fruits-360" / "Training").mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        data_sets(tmp_path)
    said = str(ended.value)
    assert "Training" not in said
    for name in ("fruits-360/Test", "grocery-store/train", "grocery-store/val"):
        assert f"{tmp_path / name}" in said
    assert said.endswith("Say where they are: --data DIR, or make accuracy DATA=dir")


def test_data_sets_that_are_there(tmp_path):
    for seed, part in enumerate(("fruits-360/Training", "fruits-360/Test", "grocery-store/train", "grocery-store/val")):
        write_sample_photos(tmp_path / part, LABELS[:2], seed + 1, 20, seed)
    found = [(one.name, len(one.learnt.files), len(one.unseen.files)) for one in data_sets(tmp_path)]
    assert found == [("fruits-360", 2, 4), ("grocery-store", 6, 8)]


def test_a_table_stands_between_its_lines(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"one\nBEGIN\nold\n{END}two\n")
    assert between(page, "BEGIN\n", "new\n") == f"one\nBEGIN\nnew\n{END}two\n"
    with pytest.raises(ValueError, match="expected the lines 'START"):
        between(page, "START\n", "new\n")


@pytest.mark.parametrize("begin", [accuracy.BEGIN, preprocessing.BEGIN], ids=["accuracy", "preprocessing"])
def test_the_page_has_a_place_for_it(begin):
    page = accuracy.PAGE.read_text("utf-8")
    assert between(accuracy.PAGE, begin, page.partition(begin)[2].partition(END)[0]) == page
