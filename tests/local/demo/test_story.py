import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from local.demo.story import StoryError, mirrored, tell
from local.prepare import find_photos, key_of


def write(folder: Path, **numbers: int) -> Path:
    """Write so many photos of each label."""
    for label, number in numbers.items():
        (folder / label).mkdir(parents=True)
        for i in range(number):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / label / f"{i:03}.jpg")
    return folder


def test_days_of_many_photos(tmp_path: Path) -> None:
    folder = write(tmp_path, Banana=40, Kiwi=40, Plum=30)
    before = {path: path.read_bytes() for path in find_photos(folder)}
    story = tell(folder, find_photos(folder))
    assert story.new_label == "Plum"
    assert Counter(path.parent.name for path in story.first) == {"Banana": 36, "Kiwi": 36}
    assert Counter(path.parent.name for path in story.second) == {"Plum": 30, "Banana": 3, "Kiwi": 4}
    assert len(story.changed) == len(story.deleted) == 3
    assert {*story.changed, *story.deleted} <= {*story.first}
    assert not {*story.changed} & {*story.deleted}
    # Each photo is in one place, and the one that is asked for in none.
    assert sorted([*story.first, *story.second, story.asked]) == find_photos(folder)
    assert story.asked.parent.name == "Banana"
    assert {path: path.read_bytes() for path in find_photos(folder)} == before


@pytest.mark.parametrize("numbers", [{"Banana": 12}, {"Banana": 6, "Kiwi": 6}, {f"L{i:02}": 1 for i in range(12)}])
def test_each_day_brings_something(tmp_path: Path, numbers: dict[str, int]) -> None:
    story = tell(tmp_path, find_photos(write(tmp_path, **numbers)))
    assert story.second and story.changed and story.deleted
    assert sorted([*story.first, *story.second, story.asked]) == find_photos(tmp_path)
    # Discovery takes more than a fifth missing for an accident.
    assert len(story.deleted) * 5 < len(story.first)


def test_too_few_photos(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match="expected 12 photos or more, found 11"):
        tell(tmp_path, find_photos(write(tmp_path, Banana=11)))


def test_a_photo_that_cannot_be_read_is_not_the_one_to_be_changed(tmp_path: Path) -> None:
    photos = find_photos(write(tmp_path, Banana=30))
    photos[0].write_bytes(b"no photo")
    story = tell(tmp_path, photos)
    assert photos[0] in story.first
    assert photos[0] not in story.changed


def test_other_bytes(tmp_path: Path) -> None:
    photos = find_photos(write(tmp_path, Banana=12))
    story = tell(tmp_path, photos)
    Image.linear_gradient("L").rotate(90).convert("RGB").save(photos[0])
    with Image.open(photos[0]) as before, Image.open(io.BytesIO(mirrored(photos[0]))) as after:
        assert before.getpixel((0, 0)) == after.getpixel((255, 0))
    assert 0 < len(story.broken_photo()) < len(story.first[0].read_bytes())
    assert story.keyed(photos[:1]) == [(photos[0], "photos/Banana/000.jpg")]
    assert story.broken == key_of(tmp_path / "Banana" / "broken_upload.jpg", tmp_path)


def test_no_photos(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"expected photos .*one folder a label.*found none"):
        find_photos(tmp_path)
    with pytest.raises(NotADirectoryError, match="there is no such folder"):
        find_photos(tmp_path / "missing")
