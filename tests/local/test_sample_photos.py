from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from local.sample_photos import LABELS, main, render, write_sample_photos


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_one_folder_a_kind(tmp_path: Path) -> None:
    assert write_sample_photos(tmp_path / "photos", ["Apple Red", "Banana"], 2, 32, 0) == 4
    assert sorted(files(tmp_path / "photos")) == [
        "Apple Red/apple_red_0001.jpg",
        "Apple Red/apple_red_0002.jpg",
        "Banana/banana_0001.jpg",
        "Banana/banana_0002.jpg",
    ]


def test_a_seed_gives_the_same_bytes_whatever_else_is_written(tmp_path: Path) -> None:
    write_sample_photos(tmp_path / "a", ["Lemon", "Plum"], 3, 32, 7)
    write_sample_photos(tmp_path / "b", ["Plum"], 2, 32, 7)
    write_sample_photos(tmp_path / "c", ["Plum"], 2, 32, 8)
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert b.items() <= a.items()
    assert len(set(a.values()) | set(c.values())) == 8


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not an empty folder: name another one, or empty it first"):
        write_sample_photos(tmp_path, ["Lemon"], 1, 32, 0)
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_fruit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such fruit: Durian; there are Apple Red, Banana"):
        write_sample_photos(tmp_path, ["Lemon", "Durian"], 1, 32, 0)
    assert not list(tmp_path.iterdir())


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "photos"
    assert main([str(folder), "--labels", "3", "--per-label", "2", "--size", "24", "--seed", "5"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["Apple Red", "Banana", "Lemon"]
    assert len(files(folder)) == 6
    assert capsys.readouterr().out == f"6 photos of 3 kinds of fruit in {folder}\n"


@pytest.mark.parametrize("label", LABELS)
def test_a_fruit_stands_whole_on_white(label: str) -> None:
    for seed in range(5):
        image = render(label, seed, 64)
        assert (image.mode, image.size) == ("RGB", (64, 64))
        pixels = np.asarray(image).astype(int)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (border.min(axis=1) > 230).mean() > 0.9
        covered = (pixels.min(axis=2) < 200).mean()
        assert 0.04 < covered < 0.75


def test_kinds_can_be_told_apart_though_no_two_photos_are_alike() -> None:
    pixels = np.array([[np.asarray(render(label, seed, 24)) for seed in range(24)] for label in LABELS])
    flat = pixels.reshape(len(LABELS), 24, -1)
    spread = flat.std(axis=1).mean(axis=1)
    assert (spread > 10).all()
    y = np.arange(len(LABELS)).repeat(16)
    model = RandomForestClassifier(100, random_state=0).fit(flat[:, :16].reshape(len(y), -1), y)
    truth = np.arange(len(LABELS)).repeat(8)
    assert model.score(flat[:, 16:].reshape(len(truth), -1), truth) > 0.8
