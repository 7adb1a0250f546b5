"""Watermark: up to when discovery has taken up all that happened in the buckets, kept as a property of `batches`.

It counts for one way of looking only (extractor, prefixes, rules, source), and while the lake has not been rolled back:
otherwise there is none, and discovery looks at everything.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table
from pyiceberg.table.snapshots import ancestors_of

from orchard.lake import ledger
from orchard.lake.tables import table_or_none

_PROPERTY = "orchard.discovered"


@dataclass(frozen=True)
class Watermark:
    """How far discovery has come.

    Attributes
    ----------
    what : list of str
        What it looked for, and where.
    listed_at : datetime
        When all was listed last, or since when a source has been asked instead.
    since : datetime or None
        All that happened before was taken up by runs that have ended; None: nothing is certain.
    found_at, run_id : datetime or None, str
        Until when all is in the batch of this run, or of an earlier one: once it has ended, that is `since`.
    snapshot : int or None
        Of `embeddings`, when it was found.
    """

    what: list[str]
    listed_at: datetime
    since: datetime | None
    found_at: datetime | None
    run_id: str
    snapshot: int | None = None


def read(catalog: Catalog, database: str, what: Sequence[str]) -> Watermark | None:
    """Read the watermark of what is looked for now; None where there is none that holds."""
    held = catalog.load_table((database, "batches")).properties.get(_PROPERTY)
    if held is None:
        return None
    values = json.loads(held)
    times = {name: _time(values[name]) for name in ("listed_at", "since", "found_at")}
    mark = Watermark(**{**values, **times})
    if mark.what != list(what) or mark.snapshot not in _past(catalog, database):
        return None
    if mark.found_at and mark.run_id not in {run.run_id for run in ledger.unfinished(catalog, database)}:
        return replace(mark, since=mark.found_at)
    return mark


def write(catalog: Catalog, database: str, mark: Watermark) -> None:
    """Keep a watermark, with what `embeddings` is now."""
    embeddings = table_or_none(catalog, database, "embeddings")
    values = {**vars(mark), "snapshot": _snapshot(embeddings)}
    batches = catalog.load_table((database, "batches"))
    with batches.transaction() as transaction:
        transaction.set_properties({_PROPERTY: json.dumps(values, default=datetime.isoformat)})


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _snapshot(table: Table | None) -> int | None:
    now = table.current_snapshot() if table else None
    return now.snapshot_id if now else None


def _past(catalog: Catalog, database: str) -> set[int | None]:
    """Snapshots that `embeddings` came from; one that it was taken back from is none of them."""
    table = table_or_none(catalog, database, "embeddings")
    now = table.current_snapshot() if table else None
    return {None} | ({one.snapshot_id for one in ancestors_of(now, table.metadata)} if table and now else set())
