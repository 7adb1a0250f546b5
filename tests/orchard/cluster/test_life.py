from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchard.cluster.life import Life, Marks

ZERO = datetime(2026, 3, 1, tzinfo=UTC)
NOW = ZERO + timedelta(seconds=2000)


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def cluster(ready: float | None = 300, ended: float | None = 1000) -> dict[str, Any]:
    marks = {"CreationDateTime": 0.0, "ReadyDateTime": ready, "EndDateTime": ended}
    return {"Status": {"Timeline": {name: at(value) for name, value in marks.items() if value is not None}}}


def step(name: str, start: float | None, end: float | None) -> dict[str, Any]:
    marks = {"StartDateTime": start, "EndDateTime": end}
    return {"Id": name, "Status": {"Timeline": {key: at(one) for key, one in marks.items() if one is not None}}}


STEPS = [step("s-3", None, None), step("s-2", 600, 700.5), step("s-1", 320, 580)]  # the last was cancelled at once


def marks(bootstrapping: float | None = None, terminating: float | None = None) -> Marks:
    return Marks(*(None if one is None else at(one).timestamp() for one in (bootstrapping, terminating)))


@pytest.mark.parametrize(
    ("one", "seen", "expected"),
    [
        (cluster(), marks(180, 720), (1000, 180, 120, 59.5, 280)),
        (cluster(), marks(None, 720), (1000, 300, None, 59.5, 280)),
        (cluster(), marks(180, None), (1000, 180, 120, 339.5, None)),
        # Of another try, or by a clock that goes wrong.
        (cluster(), marks(301, 1001), (1000, 300, None, 339.5, None)),
        # It was kept, and lives.
        (cluster(ended=None), marks(180, 720), (2000, 180, 120, 1339.5, None)),
        # It was never ready.
        (cluster(ready=None), marks(180, 720), (1000, None, None, None, None)),
    ],
)
def test_a_life(one: dict[str, Any], seen: Marks, expected: tuple[float | None, ...]) -> None:
    life = Life.of(one, STEPS, seen, NOW)
    assert (life.total, life.start, life.bootstrap, life.wait, life.end) == expected
    assert life.steps == {"s-1": 260.0, "s-2": 100.5, "s-3": 0.0}


def test_a_step_that_still_runs() -> None:
    assert Life.of(cluster(ended=None), [step("s-1", 400, None)], Marks(), at(900)).steps == {"s-1": 500.0}


@given(
    st.lists(st.integers(0, 10**6), min_size=5, max_size=11, unique=True).map(sorted),
    st.booleans(),
    st.booleans(),
)
def test_the_parts_add_up(moments: list[int], bootstraps: bool, told: bool) -> None:
    """Whatever of them is known."""
    first, began, ready, *between, asked, ended = moments
    steps = [step(f"s-{n}", *pair) for n, pair in enumerate(zip(between[::2], between[1::2], strict=False))]
    one = cluster(ready, ended)
    one["Status"]["Timeline"]["CreationDateTime"] = at(first)
    life = Life.of(one, steps, marks(began if bootstraps else None, asked if told else None), NOW)
    parts = [life.start, life.bootstrap, life.wait, life.end, *life.steps.values()]
    assert life.total == ended - first == pytest.approx(sum(part for part in parts if part is not None))
    assert (life.bootstrap is not None, life.end is not None) == (bootstraps, told)
