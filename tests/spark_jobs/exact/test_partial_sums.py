"""Which partial sums are kept: nothing counted twice or missed, and what a change costs after ten years."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.exact.partial_sums import FULL, Run, Sum, name_of, plan


def days(count: int, photos: int) -> list[Run]:
    first = date(2026, 1, 1)
    return [Run(f"scheduled__{first + timedelta(days=i)}T00:00:00+00:00", f"m{i}", photos) for i in range(count)]


def every(node: Sum) -> Iterator[Sum]:
    yield node
    yield from node.all_kept()


def read(node: Sum, there: set[str]) -> int:
    """Count what is read to sum it, in photos, where some partial sums are there."""
    parts = sum(part.size if part.name in there else read(part, there) for part in node.kept)
    return parts + sum(min(run.photos, FULL) for run in node.loose)


runs = st.lists(st.tuples(st.text(max_size=4), st.integers(0, 2000)), max_size=80, unique_by=lambda run: run[0])


@given(runs)
def test_each_run_is_counted_once(drawn: list[tuple[str, int]]) -> None:
    found = plan([Run(name, "m", photos) for name, photos in drawn])
    assert sorted(run.name for run in found.runs) == sorted(name for name, _ in drawn)
    for node in every(found):
        below = [run for part in node.kept for run in part.runs] + list(node.loose)
        assert sorted(below, key=lambda run: run.name) == list(node.runs)
        assert node.name == name_of({run.name: run.moments for run in node.runs})


@given(runs)
def test_it_depends_on_the_runs_alone(drawn: list[tuple[str, int]]) -> None:
    made = [Run(name, "m", photos) for name, photos in drawn]
    assert plan(made) == plan(made[::-1])


def test_a_name_is_of_exactly_these_moments() -> None:
    names = {name_of(one) for one in ({}, {"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": "1"})}
    assert len(names) == 5
    assert name_of({"b": "2", "a": "1"}) == name_of({"a": "1", "b": "2"})


@pytest.mark.parametrize(("count", "photos"), [(3650, 20), (365, 2000)])
def test_what_a_change_costs_after_years(count: int, photos: int) -> None:
    before = days(count, photos)
    kept = {node.name for node in every(plan(before))}
    everything = sum(min(run.photos, FULL) for run in before)
    assert sum(node.size for node in plan(before).all_kept()) < 0.25 * everything
    for changed in (0, count // 3, count - 2):
        after = plan(
            [Run(run.name, "other" if i == changed else run.moments, run.photos) for i, run in enumerate(before)]
        )
        assert read(after, kept) < 0.25 * everything
        assert len({node.name for node in every(after)} - kept) <= 7  # the sums that hold it, and no others
    gone = plan(before[:100] + before[101:])
    assert read(gone, kept) < 0.25 * everything
    # A month later: what was kept is there still.
    later = plan(days(count + 30, photos))
    assert read(later, kept) < 0.25 * everything


def test_a_few_small_runs_are_read_as_they_are() -> None:
    found = plan(days(30, 20))
    assert (found.kept, len(found.loose)) == ((), 30)
    assert plan([]) == Sum((), (), ())
