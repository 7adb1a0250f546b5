"""Make of photos others, as they might be taken elsewhere: before a background, in another light, several at once.

    python -m spark_jobs.augment_photos photos/ augmented/ --backgrounds shop/

Augmented photos are photos like others, in the folders of what they are made of, which their names say. A lake that is
given their prefix learns from them, and judges none of them. Done again, only what is missing is made.
"""

import argparse
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from orchard.photos.listing import canonical_prefix
from orchard.photos.sieve import Sieve, told
from spark_jobs.augmenting.task import Listed, Task, listed, pictures
from spark_jobs.exact import augmented
from spark_jobs.running.output import end

_AT_ONCE = 512  # photos that wait for a process


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
    there = {one.uri: one.modified for one in listed(task.out) if augmented.is_augmented(one.uri)}
    expected: set[str] = set()
    unusable: list[tuple[str, str]] = []
    counts = Counter[str]()

    def missing() -> Generator[tuple[Listed, list[int]], None, None]:
        for photo in listed(task.prefix, sieve):
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
    except (OSError, ValueError) as error:  # a PictureError is one
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


if __name__ == "__main__":
    end(main)
