"""Life: how long a cluster started, bootstrapped, worked, waited and ended, by EMR's own timeline."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Marks:
    """Two moments that no timeline of EMR tells, as tasks saw them; None where they did not.

    Attributes
    ----------
    bootstrapping, terminating : float or None
        When a cluster went from STARTING to BOOTSTRAPPING, and when it was told to end; seconds since 1970.
    """

    bootstrapping: float | None = None
    terminating: float | None = None


@dataclass(frozen=True)
class Life:
    """The seconds of a cluster's phases; `start`, `bootstrap`, `wait`, `end` and those of all steps add up to `total`.

    Attributes
    ----------
    start, bootstrap : float or None
        Until its first node bootstrapped, and from then until it was ready. Where nobody saw it come to that, `start`
        holds both; of a cluster that was never ready, there is neither.
    steps : Mapping of str to float
        Of each step, by its id.
    wait, end : float or None
        What it was ready, and had no step; from when it was told to end until it had. Where nobody told it, or it has
        not ended yet, `wait` holds both.
    """

    total: float
    start: float | None
    bootstrap: float | None
    steps: Mapping[str, float]
    wait: float | None
    end: float | None

    @classmethod
    def of(cls, cluster: Mapping[str, Any], steps: Iterable[Mapping[str, Any]], marks: Marks, now: datetime) -> "Life":
        """Read a cluster's life, and its steps', as EMR describes them; until `now` if it lives."""
        timeline = cluster["Status"]["Timeline"]
        created, ready, until = timeline["CreationDateTime"], timeline.get("ReadyDateTime"), last(timeline, now)
        took = {step["Id"]: _seconds(step["Status"].get("Timeline", {}), until) for step in steps}
        total = (until - created).total_seconds()
        if ready is None:
            return cls(total, None, None, took, None, None)
        began = _between(created, marks.bootstrapping, ready)
        told = _between(ready, marks.terminating, until) if "EndDateTime" in timeline else None
        return cls(
            total,
            start=((began or ready) - created).total_seconds(),
            bootstrap=(ready - began).total_seconds() if began else None,
            steps=took,
            wait=max(((told or until) - ready).total_seconds() - sum(took.values()), 0.0),
            end=(until - told).total_seconds() if told else None,
        )


def last(timeline: Mapping[str, Any], now: datetime) -> datetime:
    """Return when a cluster, node or step ended; now, if it has not."""
    moment: datetime = timeline.get("EndDateTime", now)
    return moment


def _seconds(timeline: Mapping[str, Any], until: datetime) -> float:
    """Return the seconds that a step ran: none if it never did."""
    start = timeline.get("StartDateTime")
    return float((last(timeline, until) - start).total_seconds()) if start else 0.0


def _between(first: datetime, mark: float | None, second: datetime) -> datetime | None:
    """Return a mark as a moment, if it can be believed: it may be of another try, or of another clock."""
    moment = datetime.fromtimestamp(mark, UTC) if mark is not None else None
    return moment if moment and first <= moment <= second else None
