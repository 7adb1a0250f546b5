"""Discovery: what a run has to do, found by comparing a listing with the lake, and fixed as the run's batch."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, EqualTo, GreaterThan, StartsWith
from pyiceberg.table import Table

from orchard.lake import known, parents, watermark
from orchard.lake.scratch import scratch
from orchard.lake.stream import stream
from orchard.lake.tables import append
from orchard.lake.watermark import Watermark
from orchard.photos.comparison import compare, leave, make_batch
from orchard.photos.confirmation import confirm
from orchard.photos.found import Clock, Found
from orchard.photos.hierarchy import Hierarchy, Seen
from orchard.photos.label import PARENT, LabelRule
from orchard.photos.listed import Look, load_listed
from orchard.photos.listing import canonical_prefix
from orchard.photos.losses import check_losses
from orchard.photos.notes import notes
from orchard.photos.sieve import LEAVE_OUT, Sieve
from orchard.photos.source import Source
from orchard.photos.strays import take_out

_LOG = logging.getLogger("find_new_photos")
_ROWS = 500_000  # rows of a batch that are held at once, some 100 MB
_EXAMPLES = 3
_LISTING = Source()


def find(
    catalog: Catalog,
    database: str,
    run_id: str,
    extractor_id: str,
    prefixes: Sequence[str],
    *,
    rule: LabelRule = PARENT,
    mass_deletion_meant: bool = False,
    limit: int | None = None,
    leave_out: Sequence[str] = LEAVE_OUT,
    taken_out: str | None = None,
    hierarchy: Hierarchy | None = None,
    source: Source = _LISTING,
    s3: Any = None,
    write: bool = True,
) -> Found:
    """Find a run's batch and write it to `batches`; a run that has one already keeps it.

    Parameters
    ----------
    prefixes : sequence of str
        ``s3://bucket/prefix`` or folders. Photos of the lake elsewhere are left alone.
    rule : LabelRule
        What finds the label of a photo. Photos whose label in the lake is another are in the batch.
    mass_deletion_meant : bool
        Do not stop where more than a fifth of what the lake holds under a prefix is gone, or loses its label.
    limit : int, optional
        Take at most that many photos that are new or have changed, the first in the order of their uris, and leave
        the others for later runs. Deletions and photos with another label are taken all.
    leave_out : sequence of str
        Patterns of names that are left out, `orchard.photos.sieve.OTHERS`.
    taken_out : str, optional
        A prefix, none of `prefixes`, whose photos leave the lake; `mass_deletion_meant` where some are still there.
    hierarchy : Hierarchy, optional
        What finds the parents of labels, which the lake's table `hierarchy` then holds; default: it stays as it is.
    source : Source
        What is asked of what is there. Of one that lags, how far it was taken is kept in the lake.
    s3 : S3 client of boto3, optional
        What buckets are listed with; default: boto3's own, where the source is listing.
    write : bool
        Without it nothing is written: a look at what a run would do.

    Raises
    ------
    MassDeletionError
        See `mass_deletion_meant`.
    ValueError
        Without any prefix, for one in the lake, for a limit below 1, or for nothing to take out, and nothing that was.
    """
    if not prefixes:
        raise ValueError("Expected at least one prefix, s3://bucket/prefix or a folder, got none.")
    began = datetime.now(UTC)
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}: expected 1 or more photos, or None for all.")
    batches = catalog.load_table((database, "batches"))
    with scratch() as db:
        if (fixed := _fixed(db, catalog, database, run_id, extractor_id)) is not None:
            return fixed
        canonical = sorted({canonical_prefix(prefix) for prefix in prefixes})
        lake = batches.location().rsplit("/", 3)[0] + "/"
        if inside := next((prefix for prefix in canonical if prefix.startswith(lake)), None):
            raise ValueError(f"{inside}: expected a place beside the lake {lake}, whose own pictures are no photos.")
        # Prefixes may overlap. The key of a photo on a disk, and so its label, depends on which one it is listed under.
        outermost = [
            prefix for prefix in canonical if not any(prefix.startswith(other) for other in {*canonical} - {prefix})
        ]
        file = hierarchy.file if hierarchy else None
        of_file = hierarchy.read_file(s3) if hierarchy and file else {}
        seen = Seen(hierarchy.rule, rule) if hierarchy and hierarchy.rule else None
        sieve = Sieve((*leave_out, *filter(None, [file and file.rsplit("/", 1)[-1]])), lake)
        clock = Clock()
        known.load(db, catalog, database, extractor_id, canonical, write=write)
        clock.stops("known")
        what = (extractor_id, rule.text, hierarchy.text if hierarchy else "", source.text, *leave_out, *canonical)
        mark = watermark.read(catalog, database, what) if source.lags else None
        due, requests = source.listing_due(mark, began), Counter[str]()
        look = Look(seen.rule if seen else rule, sieve, s3, requests)
        since = source.since(mark, began)
        newer = partial(_put_after, batches, extractor_id)
        asked = load_listed(db, outermost, Source() if due else source, since, newer, look)
        clock.stops("listing")
        compare(db)
        if not mass_deletion_meant:
            check_losses(db, canonical, rule)
        whole = not asked.prefixes or confirm(db, asked.prefixes, look)
        make_batch(db)
        told: tuple[str, ...] = ()
        if taken_out is not None:
            before = partial(_deleted, batches, extractor_id)
            told = take_out(db, taken_out, canonical, deleted=before, meant=mass_deletion_meant, s3=s3)
        left = 0 if limit is None else leave(db, limit)
        told += (*notes(db, canonical, s3), *(seen.notes() if seen else ()))
        clock.stops("comparing")
        if write:
            if hierarchy:
                _keep(catalog, database, hierarchy, seen.parents if seen else of_file, seen.labels if seen else None)
            append(batches, _batch_rows(db, run_id, extractor_id, rule))
            if source.lags:
                listed_at = began if due or mark is None else mark.listed_at
                found_at = began if whole and not left else None
                watermark.write(catalog, database, Watermark([*what], listed_at, since, found_at, run_id))
        ((total, labelled),) = db.execute("SELECT count(*), count(label) FROM listed").fetchall()
        none = db.execute(f"SELECT uri FROM listed WHERE label IS NULL ORDER BY uri LIMIT {_EXAMPLES}").fetchall()
        added, changed, deleted, relabelled = _count(db, "batch")
    examples = tuple(uri for (uri,) in none)
    listed, left_out = total + sieve.left_out.total(), dict(sorted(sieve.left_out.items()))
    counts = (listed, added, changed, deleted, left, relabelled, total - labelled)
    return Found(*counts, examples, rule.text, left_out, told, dict(requests), clock.seconds, asked.told)


def _keep(
    catalog: Catalog, database: str, hierarchy: Hierarchy, found: dict[str, str], listed: set[str] | None
) -> None:
    """Bring the lake's parents up to date, and say so where they change."""
    if parents.write(catalog, database, hierarchy.text, found, listed):
        counts = len(found), len(set(found.values()))
        _LOG.info("Hierarchy %s: %d labels have a parent, one of %d.", hierarchy.text, *counts)


def _fixed(
    db: duckdb.DuckDBPyConnection, catalog: Catalog, database: str, run_id: str, extractor_id: str
) -> Found | None:
    """Count the batch that this run found before, if it did."""
    mine = And(EqualTo("run_id", run_id), EqualTo("extractor_id", extractor_id))
    scan = catalog.load_table((database, "batches")).scan(mine, selected_fields=("action", "label_rule"))
    db.register("part", scan.to_arrow_batch_reader())
    db.execute("CREATE TABLE fixed AS SELECT * FROM part")
    added, changed, deleted, relabelled = counts = _count(db, "fixed")
    if not any(counts):
        return None
    _LOG.info("Run %s found its batch before, and does the same again.", run_id)
    # A batch of an older version has no rule.
    ((rule,),) = db.execute("SELECT coalesce(any_value(label_rule), ?) FROM fixed", [PARENT.text]).fetchall()
    return Found(added + changed, added, changed, deleted, relabelled=relabelled, rule=rule)


def _deleted(batches: Table, extractor_id: str, begin: str) -> bool:
    """Whether a run, which may not have come to its end, deleted photos whose uris begin so."""
    where = And(EqualTo("extractor_id", extractor_id), EqualTo("action", "delete"), StartsWith("uri", begin))
    return len(batches.scan(where, selected_fields=("uri",), limit=1).to_arrow()) > 0


def _put_after(batches: Table, extractor_id: str, at: datetime) -> Iterator[pa.Table]:
    """Give the uris of photos that runs have seen, of versions put after a time."""
    return stream(
        batches, And(EqualTo("extractor_id", extractor_id), GreaterThan("last_modified", at.isoformat())), "uri"
    )


def _count(db: duckdb.DuckDBPyConnection, batch: str) -> list[int]:
    counts = dict(db.execute(f"SELECT action, count(*) FROM {batch} GROUP BY action").fetchall())
    return [counts.get(action, 0) for action in ("add", "change", "delete", "relabel")]


def _batch_rows(db: duckdb.DuckDBPyConnection, run_id: str, extractor_id: str, rule: LabelRule) -> Iterator[pa.Table]:
    found_at = datetime.now(UTC)
    rows = db.sql("SELECT * FROM batch ORDER BY uri").to_arrow_reader(_ROWS)
    for batch in rows:
        table = pa.Table.from_batches([batch])
        for name, value, kind in (
            ("run_id", run_id, pa.string()),
            ("extractor_id", extractor_id, pa.string()),
            ("found_at", found_at, pa.timestamp("us", "UTC")),
            ("label_rule", rule.text, pa.string()),
        ):
            table = table.append_column(name, pa.repeat(pa.scalar(value, kind), len(table)))
        yield table
