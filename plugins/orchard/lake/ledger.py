"""Ledger: which runs there have been, and how far each got, read from the tables and mostly from their metadata."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table

from orchard.lake.rows import single_rows
from orchard.lake.tables import RUNS, table_or_none

_MAINTAINED = "orchard.maintained-at"  # property of `batches` that spark_jobs/maintain_tables.py sets
_TELLING = 500  # photos that a run must have embedded for its speed to count: less is mostly start
NEWEST = 10  # runs that tell, whose speed counts


class Run(NamedTuple):
    """A run, and the extractor that it used."""

    run_id: str
    extractor_id: str


def newest(catalog: Catalog, database: str, extractor_id: str | None = None) -> dict[str, Any] | None:
    """Return the row of the run that ended last (of one extractor's, if given)."""
    return next(iter(ended(catalog, database, extractor_id)), None)


def unfinished(catalog: Catalog, database: str) -> list[Run]:
    """Return the runs that found a batch and never reached their end, in the order in which they found it."""
    ended = catalog.load_table((database, "runs")).scan(selected_fields=("run_id",)).to_arrow()["run_id"].to_pylist()
    batches = catalog.load_table((database, "batches"))
    if batches.current_snapshot() is None:  # it has no metadata to inspect, either
        return []
    parts = batches.inspect.partitions().to_pylist()
    runs = {part["partition"]["run_id"] for part in parts if part["record_count"]} - set(ended)
    # Not by when a part was updated: table maintenance does that, too.
    return [run for _, run, _ in sorted((_found(batches, run_id) for run_id in runs), key=lambda found: found[:2])]


def label_rule(catalog: Catalog, database: str) -> str | None:
    """Return the rule by which labels were found last, whether or not that run has ended; None if none tells."""
    batches = catalog.load_table((database, "batches"))
    found = [(at, rule) for at, _, rule in (_found(batches, run.run_id) for run in unfinished(catalog, database))]
    past = [(row["ended_at"], row["label_rule"]) for row in ended(catalog, database)]
    rules = [(at, rule) for at, rule in (*past, *found) if rule is not None]
    return max(rules)[1] if rules else None


def behind(catalog: Catalog, database: str, extractor_id: str) -> list[str]:
    """Return the runs whose embeddings step 2 has not yet folded in as they are now, in the order of their names.

    Moments and coordinates (in the basis in use) stand for a run's embeddings while they count as many.
    """
    embedded = _counts(_parts(catalog, database, "embeddings", extractor_id))
    mine = EqualTo("extractor_id", extractor_id)
    summed: Counter[str] = Counter()
    for row in single_rows(catalog, database, "moments", mine, "run_id", "count"):
        summed[row["run_id"]] += row["count"]
    in_bases = _parts(catalog, database, "coordinates", extractor_id)
    in_use = _in_use(catalog, database, extractor_id, {part["basis_id"] for part in in_bases})
    placed = _counts([part for part in in_bases if part["basis_id"] == in_use])
    if in_use is None:
        # Embeddings that do not vary make no basis: where step 2 ended without one, coordinates are not missing.
        past = ended(catalog, database, extractor_id)
        if past and past[0]["basis_id"] is None and embedded.keys() <= {row["run_id"] for row in past}:
            placed = embedded
    return sorted(run for run in embedded | summed | placed if not embedded[run] == summed[run] == placed[run])


def maintenance_due(catalog: Catalog, database: str, days: float, now: datetime | None = None) -> bool:
    """Whether the tables were last maintained, or the lake was begun, longer ago than so many days."""
    done = catalog.load_table((database, "batches")).properties.get(_MAINTAINED)
    since = datetime.fromisoformat(done) if done else min(_ends(catalog, database), default=None)
    return since is not None and (now or datetime.now(UTC)) - since > timedelta(days=days)


def _ends(catalog: Catalog, database: str) -> list[datetime]:
    ends = catalog.load_table((database, "runs")).scan(selected_fields=("ended_at",)).to_arrow()["ended_at"].to_pylist()
    return [end for end in ends if end is not None]


def rates(catalog: Catalog, database: str, extractor_id: str | None = None, limit: int = NEWEST) -> list[float]:
    """Return how many photos a second a vCPU embedded in the newest runs that tell, newest first."""
    found = [rate(row) for row in ended(catalog, database, extractor_id)]
    return [one for one in found if one is not None][:limit]


def rate(row: Mapping[str, Any]) -> float | None:
    """Return how many photos a second a vCPU embedded in a run, by its row; None where that does not tell."""
    # A relabelled photo takes part of the seconds, and is not embedded.
    if row["embed_seconds"] and row["vcpus"] and not row["relabelled"] and (row["embedded"] or 0) >= _TELLING:
        return float((row["embedded"] + (row["rejected"] or 0)) / row["embed_seconds"] / row["vcpus"])
    return None


def held(catalog: Catalog, database: str, extractor_id: str) -> int:
    """Return how many photos the lake holds, from the metadata of `embeddings` alone."""
    return sum(_counts(_parts(catalog, database, "embeddings", extractor_id)).values())


def ended(catalog: Catalog, database: str, extractor_id: str | None = None) -> list[dict[str, Any]]:
    """Rows of the runs that reached their end, newest first; columns that an older lake lacks are None."""
    missing = dict.fromkeys(RUNS.column_names)
    runs = catalog.load_table((database, "runs")).scan().to_arrow().to_pylist()
    past = [
        missing | row for row in runs if row["ended_at"] is not None and extractor_id in (None, row["extractor_id"])
    ]
    return sorted(past, key=lambda row: row["ended_at"], reverse=True)


def _in_use(catalog: Catalog, database: str, extractor_id: str, used: set[str]) -> str | None:
    """Name of the basis that the coordinates stand in; were there several, the newest."""
    if len(used) < 2:
        return next(iter(used), None)
    bases = catalog.load_table((database, "bases"))
    scan = bases.scan(EqualTo("extractor_id", extractor_id), selected_fields=("basis_id", "created_at"))
    rows = [row for row in scan.to_arrow().to_pylist() if row["basis_id"] in used]
    return str(max(rows, key=lambda row: row["created_at"])["basis_id"])


def _counts(parts: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count the rows of each run."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts[part["run_id"]] += part["rows"]
    return counts


def _parts(catalog: Catalog, database: str, name: str, extractor_id: str) -> list[dict[str, Any]]:
    """Partitions of a table that hold rows, and how many, from its metadata alone; none for a missing table."""
    table = table_or_none(catalog, database, name)
    if table is None or table.current_snapshot() is None:
        return []
    parts = table.inspect.partitions(row_filter=EqualTo("extractor_id", extractor_id)).to_pylist()
    rows = [part["record_count"] - part["position_delete_record_count"] for part in parts]
    found = [{**part["partition"], "rows": count} for part, count in zip(parts, rows, strict=True) if count]
    return [part for part in found if part["extractor_id"] == extractor_id]


def _found(batches: Table, run_id: str) -> tuple[datetime, Run, str | None]:
    """When a run found its batch, with which extractor, and by which rule of labels."""
    fields = ("extractor_id", "found_at", "label_rule")
    (row,) = batches.scan(EqualTo("run_id", run_id), selected_fields=fields, limit=1).to_arrow().to_pylist()
    return row["found_at"], Run(run_id, row["extractor_id"]), row["label_rule"]
