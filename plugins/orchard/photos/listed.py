"""Listed: what is there now, loaded for a comparison: by a source that lags, if it knows the bucket, or by listing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from orchard.photos.bucket import Page
from orchard.photos.cuts import cuts
from orchard.photos.inventory import newest
from orchard.photos.label import LabelRule
from orchard.photos.listing import SCHEMA, list_photos, photos_among, split
from orchard.photos.metadata_tables import MetadataTables
from orchard.photos.sieve import Sieve
from orchard.photos.source import LISTING, Source, SourceError

# By which an event may come into the journal, in general within minutes, and an object into the live inventory.
LATE, _LATE_OBJECT = timedelta(days=1), timedelta(hours=2)
_ROWS = 50_000  # that are inserted at once
_AS_KNOWN = "INSERT INTO listed SELECT uri, etag, NULL, NULL, label FROM known"  # nothing has happened to them


@dataclass(frozen=True)
class Look:
    """How what is there is looked at, whoever is asked.

    Attributes
    ----------
    rule : LabelRule
        What finds labels.
    sieve : Sieve
        What leaves out the files of other programs, and counts them.
    s3 : S3 client of boto3, optional
    requests : Counter of str
        Counts what S3 is asked for.
    """

    rule: LabelRule
    sieve: Sieve
    s3: Any
    requests: Counter[str]


@dataclass(frozen=True)
class Asked:
    """What was asked in place of S3.

    Attributes
    ----------
    told : str
        For a person.
    prefixes : tuple of str
        Under which; none where all was listed.
    """

    told: str = LISTING
    prefixes: tuple[str, ...] = ()


def load_listed(
    db: duckdb.DuckDBPyConnection,
    prefixes: Sequence[str],
    source: Source,
    since: datetime | None,
    newer: Callable[[datetime], Iterable[pa.Table]],
    look: Look,
) -> Asked:
    """Load what is there, into `listed`: by a source that lags, where it knows the bucket, else by listing it.

    Parameters
    ----------
    db : connection
        With `known`.
    prefixes : sequence of str
        As `canonical_prefix` gives them; none of which begins with another.
    since : datetime, optional
        What happened before is known: where the source tells of events, these are enough.
    newer : callable
        Gives the uris of photos that were put after a time, and which the lake has seen: a source that was written down
        before does not tell of them, and they are not gone for that.
    """
    db.execute("CREATE TABLE listed (uri VARCHAR, etag VARCHAR, size BIGINT, last_modified TIMESTAMPTZ, label VARCHAR)")
    db.execute("CREATE TABLE mentioned (uri VARCHAR); CREATE TABLE doubtful (uri VARCHAR)")
    asked = Asked()
    if source.lags:
        asked = _ask(db, prefixes, source, since, newer, look)
    others = [prefix for prefix in prefixes if prefix not in asked.prefixes]
    how = {"rule": look.rule, "sieve": look.sieve, "client": look.s3, "requests": look.requests}
    with closing(list_photos(*others, **how, cuts=cuts(db, others))) as listing:
        _insert(db, listing)
    if any(prefix.startswith("file://") for prefix in others):  # two names that are not UTF-8 may look alike
        db.execute("CREATE OR REPLACE TABLE listed AS SELECT DISTINCT ON (uri) * FROM listed")
    return asked


def _ask(
    db: duckdb.DuckDBPyConnection,
    prefixes: Sequence[str],
    source: Source,
    since: datetime | None,
    newer: Callable[[datetime], Iterable[pa.Table]],
    look: Look,
) -> Asked:
    """Load what the source knows of, and tell of which prefixes that is."""
    in_s3 = [prefix for prefix in prefixes if prefix.startswith("s3://")]
    buckets = dict.fromkeys(split(prefix)[0] for prefix in in_s3)
    if source.of_metadata():
        assert source.tables is not None, "a source of tables is made with what opens them"
        catalog = source.tables(source.text)
        each = [MetadataTables(catalog, bucket) for bucket in buckets]
        at = datetime.now(UTC) - _LATE_OBJECT
        told = "the live inventory of S3 Metadata" if since is None else f"S3 Metadata's journal since {since:%Y-%m-%d}"
        read: dict[str, Callable[..., Iterable[Page]]] = {
            tables.bucket: tables.everything if since is None else partial(tables.changes, since=since - LATE)
            for tables in each
            if tables.there
        }
    else:
        report, since = newest(source.text, look.s3, look.requests), None
        told, at = report.told, report.at
        pages_of = partial(report.pages, s3=look.s3, requests=look.requests)
        read = {report.bucket: pages_of} if report.bucket in buckets else {}
    if not read:
        raise SourceError(
            f"source {source.text!r}: it knows nothing of {', '.join(buckets) or 'folders'}, where the prefixes are. "
            "Let the setting source be one of that bucket, or listing."
        )
    for bucket, pages in read.items():
        under = [split(prefix)[1] for prefix in in_s3 if split(prefix)[0] == bucket]
        _insert(db, (photos_among(page, look.rule, look.sieve) for page in pages(db, under)))
    asked = [prefix for prefix in in_s3 if split(prefix)[0] in read]
    where = " OR ".join("starts_with(uri, ?)" for _ in asked)
    if since is None:
        db.execute("CREATE TABLE newer (uri VARCHAR)")
        for some in newer(at):
            db.register("part", some)
            db.execute("INSERT INTO newer SELECT uri FROM part")
        db.execute(f"{_AS_KNOWN} SEMI JOIN newer USING (uri) ANTI JOIN listed USING (uri) WHERE {where}", asked)
    else:
        db.execute(f"{_AS_KNOWN} ANTI JOIN mentioned USING (uri) WHERE {where}", asked)
    return Asked(told, tuple(asked))


def _insert(db: duckdb.DuckDBPyConnection, batches: Iterable[pa.RecordBatch]) -> None:
    """Insert batches, some at a time."""
    for some in _grouped(batches):
        db.register("part", pa.Table.from_batches(some, SCHEMA))
        db.execute("INSERT INTO listed FROM part")
        db.unregister("part")


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(map(len, group)) >= _ROWS:
            yield group
            group = []
    if group:
        yield group
