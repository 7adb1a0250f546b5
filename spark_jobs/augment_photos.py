"""Make of photos others, as they might be taken elsewhere: before a background, in another light, several at once.

    python -m spark_jobs.augment_photos photos/ augmented/ --backgrounds shop/

Augmented photos are photos like others, in the folders of what they are made of, which their names say. A lake that is
given their prefix learns from them, and judges none of them. Done again, only what is missing is made.
"""

import argparse
import io
import multiprocessing
import os
import signal
import sys
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from orchard.photos.listing import canonical_prefix, list_photos
from orchard.photos.sieve import Sieve, told
from spark_jobs.augmenting.recipe import SIDE, augment
from spark_jobs.exact import augmented
from spark_jobs.extractor import photos
from spark_jobs.running.objects import read, write
from spark_jobs.running.output import end

_AT_ONCE = 512  # photos that wait for a process
_QUALITY = 92  # of the JPEGs


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


@dataclass(frozen=True)
class Made:
    """What was done.

    Attributes
    ----------
    photos, made, there : int
        Photos that were found, what was made of them, and what was there already.
    unusable : tuple of (str, str)
        Photos of which nothing could be made, and why.
    orphans : int
        Augmented photos whose origin is gone.
    left_out : Counter of str
        Files that are not named like photos.
    """

    photos: int
    made: int
    there: int
    unusable: tuple[tuple[str, str], ...]
    orphans: int
    left_out: Counter[str]


def augment_photos(task: Task) -> Made:
    """Make what is missing; what is older than its origin is made anew.

    Raises
    ------
    PictureError
    """
    sieve = Sieve()
    there = {one.uri: one.modified for one in _listed(task.out) if augmented.is_augmented(one.uri)}
    expected: set[str] = set()
    unusable: list[tuple[str, str]] = []
    counts = Counter[str]()

    def missing() -> Generator[tuple[Listed, list[int]], None, None]:
        for photo in _listed(task.prefix, sieve):
            if augmented.is_augmented(photo.uri):
                continue
            targets = task.targets(photo.uri)
            expected.update(targets)
            numbers = [i for i, one in enumerate(targets) if one not in there or there[one] < photo.modified]
            counts["photos"] += 1
            counts["there"] += len(targets) - len(numbers)
            if numbers:
                yield photo, numbers

    # Spawned: S3's clients do not outlive a fork.
    pool = ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("spawn"))
    with closing(missing()) as waiting, pool:
        try:
            while some := list(islice(waiting, _AT_ONCE)):
                for (photo, numbers), why in zip(some, _submit(pool, task, some), strict=True):
                    if why is None:
                        counts["made"] += len(numbers)
                    else:
                        unusable.append((photo.uri, why))
                print(f"{counts['photos']:,} photos looked at, {counts['made']:,} made", file=sys.stderr)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    orphans = sum(uri not in expected for uri in there)
    return Made(counts["photos"], counts["made"], counts["there"], tuple(unusable), orphans, sieve.left_out)


def _submit(pool: Executor, task: Task, some: Sequence[tuple[Listed, list[int]]]) -> Iterator[str | None]:
    """Let the pool make them; Ctrl-C is for the process that was called, and ignored by those that it starts here."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return pool.map(task.make, *zip(*some, strict=True))
    finally:
        signal.signal(signal.SIGINT, before)


def _listed(prefix: str, sieve: Sieve | None = None) -> Iterator[Listed]:
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


def _picture(listed: Listed, *, alpha: bool) -> Image.Image:
    """Open a background, or something that is to stand in front."""
    try:
        data = read(listed.uri, listed.etag)
        if not alpha:
            return _fitted(data)
        photos.upright_size(data)
        with Image.open(io.BytesIO(data)) as picture:
            if not picture.has_transparency_data:
                raise photos.PhotoError("nothing of it is transparent, and it would hide the photo")
            return picture.convert("RGBA")
    except photos.PhotoError as error:
        raise PictureError(f"{listed.uri}: {error}; take it away or put it right, and call again") from None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spark_jobs.augment_photos", description=__doc__.split("\n\n")[0])
    parser.add_argument("photos", metavar="PHOTOS", help="a folder of photos, or s3://bucket/prefix")
    parser.add_argument("out", metavar="OUT", help="a folder (it may lie in PHOTOS), or s3://bucket/prefix")
    parser.add_argument("--backgrounds", metavar="DIR", help="photos without fruit, to set fruit on white before")
    parser.add_argument("--in-front", metavar="DIR", help="pictures with transparency, of hands or leaves, say")
    parser.add_argument("--each", type=_positive, default=1, help="made of one photo (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives others, of what is not there yet")
    args = parser.parse_args(argv)
    try:
        prefix = canonical_prefix(args.photos)
        if not args.out.startswith("s3://"):
            Path(args.out.removeprefix("file://")).mkdir(parents=True, exist_ok=True)
        out = canonical_prefix(args.out)
        if out == prefix:
            raise ValueError(f"OUT is PHOTOS, {args.out}: expected a folder of its own, which may lie in PHOTOS")
        task = Task(prefix, out, pictures(args.backgrounds), pictures(args.in_front), args.each, abs(args.seed))
        made = augment_photos(task)
    except FileExistsError:
        print(f"error: {args.out}: expected a folder, or none yet; it is a file", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: what was made stays; the same command makes the rest", file=sys.stderr)
        return 130
    print(f"{made.made:,} photos made of {made.photos:,}, in {args.out}; {made.there:,} were there already")
    for uri, why in made.unusable[:3]:
        print(f"Nothing could be made of {uri}: {why}")
    if len(made.unusable) > 3:
        print(f"nor of {len(made.unusable) - 3:,} others")
    if made.orphans:
        print(f"By their names, {made.orphans:,} in {args.out} are of photos that are gone, or more than --each")
    if made.left_out:
        print(f"Left out: {told(made.left_out)}")
    if made.photos == len(made.unusable):
        print(f"error: {args.photos}: expected photos, found none that can be used", file=sys.stderr)
        return 2
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return int(text)


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
        found = tuple(sorted(_listed(canonical_prefix(prefix))))
    except NotADirectoryError:
        found = ()
    if not found:
        raise PictureError(f"{prefix}: expected a folder of pictures, or s3://bucket/prefix; found none")
    return found


if __name__ == "__main__":
    end(main)
