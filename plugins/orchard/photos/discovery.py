"""Discovery: what a run has to do, found by comparing a listing with the lake, and fixed as the run's batch.

The comparison is DuckDB's, in bounded memory whatever bucket and lake hold.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, EqualTo, Or, StartsWith

from orchard.lake.scratch import scratch
from orchard.lake.tables import append, table_or_none
from orchard.photos.listing import SCHEMA, canonical_prefix, list_photos

_LOG = logging.getLogger("find_new_photos")
_ROWS = 500_000  # rows of a batch that are held at once, some 100 MB
MISSING_SHARE = 0.2  # of what the lake holds under a prefix: more missing than that is taken for an accident


class MassDeletionError(RuntimeError):
    """A listing misses so much of what the lake holds that it stops the run before anything is deleted."""


@dataclass(frozen=True)
class Found:
    """What discovery found: the photos of the listing, and the batch.

    Attributes
    ----------
    listed : int
        Photos of the listing. A run done again lists nothing: then it is `photos`.
    added, changed, deleted : int
        The batch.
    left : int
        Photos that are new or have changed, and were left for a later run. A run done again does not look for them: 0.
    """

    listed: int
    added: int
    changed: int
    deleted: int
    left: int = 0

    @property
    def photos(self) -> int:
        """How many photos are to be embedded."""
        return self.added + self.changed

    @property
    def nothing(self) -> bool:
        return not (self.added or self.changed or self.deleted)


# A rejected photo that had no label then, and has one under another prefix now, has changed; the bytes have not.
# A step that was killed can leave a photo in both tables, embedded and rejected: it stands in the batch once.
_COMPARE = """
CREATE TABLE batch AS
SELECT DISTINCT ON (uri) * FROM (
SELECT l.*, CASE WHEN k.uri IS NULL THEN 'add' ELSE 'change' END AS action
FROM listed l LEFT JOIN known k ON k.uri = l.uri
WHERE k.uri IS NULL OR k.etag <> l.etag OR (k.unlabelled AND l.label IS NOT NULL)
UNION ALL
SELECT k.uri, k.etag, NULL, NULL, NULL, 'delete'
FROM known k LEFT JOIN listed l ON l.uri = k.uri
WHERE l.uri IS NULL
)
"""
# DuckDB compares text by its bytes, and so the order is the same everywhere.
_LEAVE = """
DELETE FROM batch WHERE action <> 'delete' AND uri >= (
    SELECT uri FROM batch WHERE action <> 'delete' ORDER BY uri LIMIT 1 OFFSET ?
)
"""


def find(
    catalog: Catalog,
    database: str,
    run_id: str,
    extractor_id: str,
    prefixes: Sequence[str],
    *,
    mass_deletion_meant: bool = False,
    limit: int | None = None,
    s3: Any = None,
    write: bool = True,
) -> Found:
    """Find a run's batch and write it to `batches`; a run that has one already keeps it.

    Parameters
    ----------
    prefixes : sequence of str
        ``s3://bucket/prefix`` or folders. Photos of the lake elsewhere are left alone.
    mass_deletion_meant : bool
        Do not stop where more than `MISSING_SHARE` of what the lake holds under a prefix is gone.
    limit : int, optional
        Take at most that many photos that are new or have changed, the first in the order of their uris, and leave
        the others for later runs. Deletions are taken all.
    s3 : S3 client of boto3, optional
        What buckets are listed with; default: boto3's own.
    write : bool
        Without it nothing is written: a look at what a run would do.

    Raises
    ------
    MassDeletionError
        See `mass_deletion_meant`.
    ValueError
        Without any prefix, or for a limit below 1.
    """
    if not prefixes:
        raise ValueError("Expected at least one prefix, s3://bucket/prefix or a folder, got none.")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}: expected 1 or more photos, or None for all.")
    batches = catalog.load_table((database, "batches"))
    with scratch() as db:
        if (fixed := _fixed(db, catalog, database, run_id, extractor_id)) is not None:
            return fixed
        canonical = sorted({canonical_prefix(prefix) for prefix in prefixes})
        # Prefixes may overlap. The label of a photo at the top of a folder depends on which one it is listed under.
        outermost = [
            prefix for prefix in canonical if not any(prefix.startswith(other) for other in {*canonical} - {prefix})
        ]
        with closing(list_photos(*outermost, client=s3)) as listing:
            db.register("listing", pa.RecordBatchReader.from_batches(SCHEMA, listing))
            db.execute("CREATE TABLE listed AS SELECT DISTINCT ON (uri) * FROM listing")
        _load_known(db, catalog, database, extractor_id, canonical)
        if not mass_deletion_meant:
            _check_deletions(db, canonical)
        db.execute(_COMPARE)
        left = 0
        if limit is not None:
            ((left,),) = db.execute(_LEAVE, [limit]).fetchall()
        if write:
            append(batches, _batch_rows(db, run_id, extractor_id))
        ((total,),) = db.execute("SELECT count(*) FROM listed").fetchall()
        counts = dict(db.execute("SELECT action, count(*) FROM batch GROUP BY action").fetchall())
    return Found(total, counts.get("add", 0), counts.get("change", 0), counts.get("delete", 0), left)


def _fixed(
    db: duckdb.DuckDBPyConnection, catalog: Catalog, database: str, run_id: str, extractor_id: str
) -> Found | None:
    """Count the batch that this run found before, if it did."""
    mine = And(EqualTo("run_id", run_id), EqualTo("extractor_id", extractor_id))
    scan = catalog.load_table((database, "batches")).scan(mine, selected_fields=("action",))
    db.register("fixed", scan.to_arrow_batch_reader())
    counts = dict(db.execute("SELECT action, count(*) FROM fixed GROUP BY action").fetchall())
    if not counts:
        return None
    _LOG.info("Run %s found its batch before, and does the same again.", run_id)
    added, changed = counts.get("add", 0), counts.get("change", 0)
    return Found(added + changed, added, changed, counts.get("delete", 0))


def _load_known(
    db: duckdb.DuckDBPyConnection, catalog: Catalog, database: str, extractor_id: str, prefixes: Sequence[str]
) -> None:
    """Load what the lake holds under the prefixes, embedded or rejected, for this extractor."""
    db.execute("CREATE TABLE known (uri VARCHAR, etag VARCHAR, unlabelled BOOLEAN)")
    under = [StartsWith("uri", prefix) for prefix in prefixes]
    where = And(EqualTo("extractor_id", extractor_id), Or(*under) if len(under) > 1 else under[0])
    for name, fields, unlabelled in (
        ("embeddings", ("uri", "etag"), "false"),
        ("rejects", ("uri", "etag", "reason"), "starts_with(reason, 'no label')"),
    ):
        if (table := table_or_none(catalog, database, name)) is not None:
            db.register("part", table.scan(where, selected_fields=fields).to_arrow_batch_reader())
            db.execute(f"INSERT INTO known SELECT uri, etag, {unlabelled} FROM part")


def _check_deletions(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str]) -> None:
    for prefix in prefixes:
        query = """SELECT count(*), count(*) FILTER (l.uri IS NULL)
                   FROM known k LEFT JOIN listed l ON l.uri = k.uri WHERE starts_with(k.uri, ?)"""
        ((known, missing),) = db.execute(query, [prefix]).fetchall()
        if missing > MISSING_SHARE * known:
            raise MassDeletionError(
                f"{missing:,} of the {known:,} photos that the lake holds under {prefix} are not there any more: "
                f"more than {MISSING_SHARE:.0%}, so nothing is deleted and the run stops. If an upload or a mount "
                "failed, mend it and run again; if they were meant to go, say so: --mass-deletion-meant, "
                "or the Param mass_deletion_meant of the DAG."
            )


def _batch_rows(db: duckdb.DuckDBPyConnection, run_id: str, extractor_id: str) -> Iterator[pa.Table]:
    found_at = datetime.now(UTC)
    rows = db.sql("SELECT * FROM batch ORDER BY uri").to_arrow_reader(_ROWS)
    for batch in rows:
        table = pa.Table.from_batches([batch])
        for name, value, kind in (
            ("run_id", run_id, pa.string()),
            ("extractor_id", extractor_id, pa.string()),
            ("found_at", found_at, pa.timestamp("us", "UTC")),
        ):
            table = table.append_column(name, pa.repeat(pa.scalar(value, kind), len(table)))
        yield table
