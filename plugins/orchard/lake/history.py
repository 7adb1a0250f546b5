"""History: a lake's past runs as figures, for whoever reckons what they would have cost otherwise.

Not for what a run did to photos: that is in the tables themselves.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from pyiceberg.catalog import Catalog

from orchard.lake import ledger


@dataclass(frozen=True)
class Past:
    """One run that reached its end.

    Attributes
    ----------
    photos, grown : int
        What was embedded or rejected; and by how many photos the lake grew, which may be less than none.
    listed : int or None
        Objects under the prefixes.
    rate : float or None
        Photos a second a vCPU; None of a run that was too small to tell.
    instance_type : str or None
        None where nothing was rented.
    seconds, beside : float or None
        Of the cluster's life; and what of it was not embedding: start, bootstrap, Spark, the fit, maintenance, waiting,
        end.
    maintained : float
        Seconds of `beside` in which tables were maintained.
    dollars : float or None
        As it was accounted for.
    """

    day: date
    photos: int
    grown: int
    listed: int | None
    rate: float | None
    instance_type: str | None
    core_nodes: int | None
    seconds: float | None
    beside: float | None
    maintained: float
    dollars: float | None


@dataclass(frozen=True)
class History:
    """The runs of one extractor, newest first; there is one at least."""

    extractor_id: str
    runs: tuple[Past, ...]

    @property
    def days(self) -> int:
        """From the first run's day to the last one's, both included."""
        return (self.runs[0].day - self.runs[-1].day).days + 1

    @property
    def idle_days(self) -> int:
        """Of these, the days without a run: nothing was rented."""
        return self.days - len({run.day for run in self.runs})

    @property
    def in_use(self) -> str | None:
        """The instance type of the newest run that rented one."""
        return next((run.instance_type for run in self.runs if run.instance_type), None)

    @property
    def rates(self) -> list[float]:
        """Speeds of the newest runs that tell, whatever they ran on: what a plan reckons with."""
        return [run.rate for run in self.runs if run.rate is not None][: ledger.NEWEST]

    def rates_on(self, instance_type: str) -> list[float]:
        """Speeds of the newest runs on a type."""
        return [run.rate for run in self.runs if run.rate is not None and run.instance_type == instance_type][
            : ledger.NEWEST
        ]


def read_history(catalog: Catalog, database: str) -> History | None:
    """Read the runs of the extractor that the newest run used; None of a lake in which no run has ended."""
    newest = ledger.newest(catalog, database)
    if newest is None:
        return None
    rows = ledger.ended(catalog, database, newest["extractor_id"])
    return History(newest["extractor_id"], tuple(map(_past, rows)))


def bytes_held(catalog: Catalog, database: str) -> int:
    """Return the bytes of all tables as they are now, from their metadata; older snapshots' files are not in it."""
    total = 0
    for _, name in catalog.list_tables(database):
        snapshot = catalog.load_table((database, name)).current_snapshot()
        if snapshot is not None and snapshot.summary is not None:
            total += int(snapshot.summary.additional_properties.get("total-files-size", 0))
    return total


def _past(row: dict[str, Any]) -> Past:
    embedded = (row["embedded"] or 0) + (row["rejected"] or 0)
    seconds, embedding = row["cluster_seconds"], row["embed_seconds"]
    # Of photos that were embedded on another cluster, this one's life says nothing.
    told = seconds is not None and (embedding is not None or not embedded) and seconds >= (embedding or 0.0)
    return Past(
        day=row["ended_at"].date(),
        photos=embedded,
        grown=(row["added"] or 0) - (row["deleted"] or 0),
        listed=row["listed"],
        rate=ledger.rate(row),
        instance_type=row["instance_type"],
        core_nodes=row["core_nodes"],
        seconds=seconds,
        beside=seconds - (embedding or 0.0) if told else None,
        maintained=row["maintain_seconds"] or 0.0,
        dollars=row["cost_dollars"],
    )
