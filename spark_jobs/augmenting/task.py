"""Tasks: what is to be made of each photo under a prefix, and making it of one.

`augment_photos` says of which, and when; `recipe` what it looks like.
"""

import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from orchard.photos.listing import canonical_prefix, list_photos
from orchard.photos.sieve import Sieve
from spark_jobs.augmenting.recipe import SIDE, augment
from spark_jobs.exact import augmented
from spark_jobs.extractor import photos
from spark_jobs.running.objects import read, write

_QUALITY: Final = 92  # of the JPEGs


class Listed(NamedTuple):
    """A photo as it was listed."""

    uri: str
    etag: str
    modified: datetime


class PictureError(ValueError):
    """A background, or what is to stand in front, that cannot be used."""


@dataclass(frozen=True)
class Task:
    """What is made of each photo.

    Attributes
    ----------
    prefix, out : str
        As `canonical_prefix` gives them: of the photos, and of what is made of them.
    backgrounds, in_front : tuple of Listed
        See `augment`.
    each : int
        Photos that are made of one.
    seed : int
    """

    prefix: str
    out: str
    backgrounds: tuple[Listed, ...] = ()
    in_front: tuple[Listed, ...] = ()
    each: int = 1
    seed: int = 0

    def targets(self, uri: str) -> list[str]:
        """Address what is made of a photo, in the folder below `out` that it stands in below `prefix`."""
        folder, slash, name = uri.removeprefix(self.prefix).rpartition("/")
        return [f"{self.out}{folder}{slash}{augmented.name(name, number + 1)}" for number in range(self.each)]

    def make(self, photo: Listed, numbers: Sequence[int]) -> str | None:
        """Make some of the photos that are made of one; the reason, if it cannot be used.

        What is made depends on the photo's name and number, not on what else is made.
        """
        targets = self.targets(photo.uri)
        try:
            origin = _fitted(read(photo.uri, photo.etag))
        except photos.PhotoError as error:
            return str(error)
        for number in numbers:
            name = photo.uri.removeprefix(self.prefix).encode("utf-8", "surrogatepass")
            rng = np.random.default_rng([self.seed, zlib.crc32(name), number])
            background, in_front = (
                _picture(some[rng.integers(len(some))], alpha=some is self.in_front) if some else None
                for some in (self.backgrounds, self.in_front)
            )
            file = io.BytesIO()
            made = augment(origin, rng, background, in_front)
            made.save(file, "JPEG", quality=_QUALITY, comment=f"Made of {photo.uri}".encode())
            write(targets[number], file.getvalue())
        return None


def pictures(prefix: str | None) -> tuple[Listed, ...]:
    """List backgrounds, or what is to stand in front.

    Raises
    ------
    PictureError
        There are none.
    """
    if prefix is None:
        return ()
    try:
        found = tuple(sorted(listed(canonical_prefix(prefix))))
    except NotADirectoryError:
        found = ()
    if not found:
        raise PictureError(f"{prefix}: expected a folder of pictures, or s3://bucket/prefix; found none")
    return found


def listed(prefix: str, sieve: Sieve | None = None) -> Iterator[Listed]:
    """List what is named like a photo under a prefix such as `canonical_prefix` gives."""
    with closing(list_photos(prefix, sieve=sieve)) as batches:
        for batch in batches:
            columns = (batch[name].to_pylist() for name in ("uri", "etag", "last_modified"))
            yield from map(Listed._make, zip(*columns, strict=True))


def _fitted(data: bytes) -> Image.Image:
    """Decode a photo, upright, at most as large as what is made of it may be."""
    width, height = photos.upright_size(data)
    scale = min(SIDE / max(width, height), 1)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return Image.fromarray(photos.decode(data, size))


def _picture(one: Listed, *, alpha: bool) -> Image.Image:
    """Open a background, or something that is to stand in front."""
    try:
        data = read(one.uri, one.etag)
        if not alpha:
            return _fitted(data)
        photos.upright_size(data)
        with Image.open(io.BytesIO(data)) as picture:
            if not picture.has_transparency_data:
                raise photos.PhotoError("nothing of it is transparent, and it would hide the photo")
            return picture.convert("RGBA")
    except photos.PhotoError as error:
        raise PictureError(f"{one.uri}: {error}; take it away or put it right, and call again") from None
