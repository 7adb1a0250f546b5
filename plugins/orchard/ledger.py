"""Ledger: which runs there have been, read from the tables `batches` and `runs`."""

from typing import Any, NamedTuple

from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo


class Run(NamedTuple):
    """A run, and the extractor that it used."""

    run_id: str
    extractor_id: str


def newest(catalog: Catalog, database: str, extractor_id: str | None = None) -> dict[str, Any] | None:
    """Return the row of the run that ended last (of one extractor's, if given)."""
    runs = catalog.load_table((database, "runs")).scan().to_arrow().to_pylist()
    rows = [row for row in runs if extractor_id in (None, row["extractor_id"])]
    return max(rows, key=lambda row: row["ended_at"], default=None)


def unfinished(catalog: Catalog, database: str) -> list[Run]:
    """Return the runs that found a batch and never reached their end, oldest first."""
    ended = catalog.load_table((database, "runs")).scan(selected_fields=("run_id",)).to_arrow()["run_id"].to_pylist()
    batches = catalog.load_table((database, "batches"))
    if batches.current_snapshot() is None:  # it has no metadata to inspect, either
        return []
    parts = sorted(batches.inspect.partitions().to_pylist(), key=lambda part: part["last_updated_at"])
    runs = [part["partition"]["run_id"] for part in parts if part["record_count"]]
    return [Run(run_id, _extractor(catalog, database, run_id)) for run_id in runs if run_id not in set(ended)]


def _extractor(catalog: Catalog, database: str, run_id: str) -> str:
    batches = catalog.load_table((database, "batches"))
    rows = batches.scan(EqualTo("run_id", run_id), selected_fields=("extractor_id",), limit=1).to_arrow()
    return str(rows["extractor_id"][0])
