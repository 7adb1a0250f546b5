"""Partial sums over runs: which of them to keep so that a change of an old run costs little, whatever came after it.

Moments are never taken off a sum: where a run changed, all runs are summed anew. Sums of parts that it is not in spare
most of that. A sum is named by what it is a sum of, so that one that is there is right; and where runs are cut into
parts follows from the runs' own names, so that a run which comes, goes or changes leaves others as they are.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

PARTS = 6  # of a sum, on average
SPARES = 4  # a sum is kept where reading it instead of its parts reads so many times less
FULL = 640  # photos, at 1,280 numbers each, from which on moments have a size of their own: see `Moments.pack`


@dataclass(frozen=True)
class Run:
    """A run, the name of its moments (`moments_id`), and of how many photos they are."""

    name: str
    moments: str
    photos: int


@dataclass(frozen=True)
class Sum:
    """A sum of moments.

    Attributes
    ----------
    runs : tuple of Run
        All that it is a sum of, in the order of their names.
    kept : tuple of Sum
        Parts that are worth keeping.
    loose : tuple of Run
        The runs that are in none of these, whose own moments are read.
    """

    runs: tuple[Run, ...]
    kept: tuple["Sum", ...]
    loose: tuple[Run, ...]

    @cached_property
    def name(self) -> str:
        return name_of({run.name: run.moments for run in self.runs})

    @property
    def size(self) -> int:
        """How much there is to read, in photos."""
        return _size(self.runs)

    @property
    def spares(self) -> bool:
        """Whether it is worth keeping."""
        return sum(part.size for part in self.kept) + sum(_size((run,)) for run in self.loose) >= SPARES * self.size

    def all_kept(self) -> Iterator["Sum"]:
        """Yield the parts worth keeping, and those of the parts."""
        for part in self.kept:
            yield part
            yield from part.all_kept()


def name_of(moments: Mapping[str, str]) -> str:
    """Name the sum of runs by theirs and their moments' names."""
    return hashlib.sha256("\n".join(f"{run} {moments[run]}" for run in sorted(moments)).encode()).hexdigest()


def plan(runs: Sequence[Run]) -> Sum:
    """Plan the sum of runs."""
    ordered = tuple(sorted(runs, key=lambda run: run.name))
    return _plan(ordered, max((_level(run) for run in ordered), default=0))


def _plan(runs: tuple[Run, ...], level: int) -> Sum:
    if level == 0:
        return Sum(runs, (), runs)
    kept: list[Sum] = []
    loose: list[Run] = []
    for part in _cut(runs, level):
        found = _plan(part, level - 1)
        if found.spares:
            kept.append(found)
        else:
            kept += found.kept
            loose += found.loose
    return Sum(runs, tuple(kept), tuple(loose))


def _cut(runs: tuple[Run, ...], level: int) -> Iterator[tuple[Run, ...]]:
    first = 0
    for number, run in enumerate(runs, start=1):
        if _level(run) >= level or number == len(runs):
            yield runs[first:number]
            first = number


def _level(run: Run) -> int:
    """How high the cut after a run reaches: one in `PARTS` reaches a level, one in `PARTS` of these the next."""
    number, level = int.from_bytes(hashlib.sha256(run.name.encode()).digest()), 0
    while number % PARTS == 0 and level < 64:
        number, level = number // PARTS, level + 1
    return level


def _size(runs: Sequence[Run]) -> int:
    return min(sum(run.photos for run in runs), FULL)
