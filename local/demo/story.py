"""Story: what happens to the bucket from day to day, chosen from a folder of photos, which itself stays as it is."""

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from local.prepare import key_of

MINIMUM = 12
_FEW = 5


class StoryError(ValueError):
    """There are too few photos for a story."""


@dataclass(frozen=True)
class Story:
    """Two days of a bucket.

    Attributes
    ----------
    folder : Path
        Of the photos.
    first, second : tuple of Path
        Photos that come on the first and on the second day.
    new_label : str or None
        The label that only the second day brings.
    changed : tuple of Path
        Of the first day's, mirrored on the second.
    deleted : tuple of Path
        Of the first day's, gone on the second.
    broken : str
        Key of a file that comes on the second day, and cannot be read.
    asked : Path
        The photo that never comes: what is it?
    """

    folder: Path
    first: tuple[Path, ...]
    second: tuple[Path, ...]
    new_label: str | None
    changed: tuple[Path, ...]
    deleted: tuple[Path, ...]
    broken: str
    asked: Path

    def keyed(self, photos: Sequence[Path]) -> list[tuple[Path, str]]:
        """Give each photo its key in the bucket."""
        return [(photo, key_of(photo, self.folder)) for photo in photos]

    def broken_photo(self) -> bytes:
        """Return the first half of a photo, as an upload that broke off leaves it."""
        whole = self.first[0].read_bytes()
        return whole[: len(whole) // 2]


def tell(folder: Path, photos: Sequence[Path]) -> Story:
    """Make a story of photos.

    Parameters
    ----------
    photos : sequence of Path
        As `find_photos` found them in `folder`.

    Raises
    ------
    StoryError
        There are less than `MINIMUM`.
    """
    if len(photos) < MINIMUM:
        raise StoryError(f"{folder}: expected {MINIMUM} photos or more, found {len(photos)}.")
    by_label: dict[str, list[Path]] = defaultdict(list)
    for photo in photos:
        by_label[photo.parent.name].append(photo)
    # Of three labels and more, the smallest comes later; of equals, the last.
    by_size = sorted(by_label, key=lambda label: len(by_label[label]), reverse=True)
    new_label = by_size[-1] if len(by_size) > 2 else None
    asked = by_label[by_size[0]].pop()
    second = list(by_label.pop(new_label)) if new_label else []
    for one in by_label.values():
        held = min(_FEW, len(one) // 10)
        second += one[len(one) - held :]
        del one[len(one) - held :]
    first = tuple(chain.from_iterable(by_label.values()))
    if not second:
        second.append(first[-1])
        first = first[:-1]
    few = max(1, min(_FEW, len(first) // 20))  # far from what discovery would take for an accident
    there = set(first)
    in_turn = [photo for row in zip_longest(*by_label.values()) for photo in row if photo in there]
    changed = tuple(islice(filter(_readable, in_turn), few))
    deleted = tuple(islice((photo for photo in reversed(in_turn) if photo not in changed), few))
    broken = key_of(first[0].with_name("broken_upload.jpg"), folder)
    return Story(folder, first, tuple(second), new_label, changed, deleted, broken, asked)


def mirrored(photo: Path) -> bytes:
    """Return a photo's mirror image, as a JPEG."""
    with Image.open(photo) as image:
        buffer = io.BytesIO()
        ImageOps.mirror(image.convert("RGB")).save(buffer, "JPEG", quality=92)
        return buffer.getvalue()


def _readable(photo: Path) -> bool:
    try:
        mirrored(photo)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return False
    return True


def labels(photos: Sequence[Path]) -> list[str]:
    """List the labels of photos."""
    return sorted({photo.parent.name for photo in photos})
