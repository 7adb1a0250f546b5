"""Known: what the lake holds of photos, embedded or rejected; and by that, where a listing is cut into equal parts."""

from collections.abc import Sequence

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo

from orchard.lake.stream import stream
from orchard.lake.tables import table_or_none
from orchard.photos.bucket import RANGES, THREADS, evenly

_LEAST = 5_000  # photos of a range: of less, the pages at its ends, which are not full, would be too many
_SAMPLE = 100  # photos of each range that are looked at to choose the cuts
_COLUMNS = "(uri VARCHAR, etag VARCHAR, label VARCHAR, judged BOOLEAN)"


def load_known(
    db: duckdb.DuckDBPyConnection, catalog: Catalog, database: str, extractor_id: str, prefixes: Sequence[str]
) -> None:
    """Load what the lake holds for this extractor: under the prefixes into `known`, all other into `elsewhere`.

    `judged` says that `label` was found by the rule of then: none for a photo that was rejected for just that.
    """
    db.execute(f"CREATE TABLE known {_COLUMNS}; CREATE TABLE elsewhere {_COLUMNS}")
    under = " OR ".join("starts_with(uri, ?)" for _ in prefixes)
    for name, column, found in (
        ("embeddings", "label", "label, true"),
        ("rejects", "reason", "NULL, starts_with(reason, 'no label')"),
    ):
        if (table := table_or_none(catalog, database, name)) is None:
            continue
        for part in stream(table, EqualTo("extractor_id", extractor_id), "uri", "etag", column):
            db.register("part", part)
            for into, there in (("known", f"({under})"), ("elsewhere", f"NOT ({under})")):
                db.execute(f"INSERT INTO {into} SELECT uri, etag, {found} FROM part WHERE {there}", list(prefixes))
            db.unregister("part")


def cuts(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str]) -> dict[str, list[str]]:
    """Choose uris that cut the prefixes in S3 into ranges; of a prefix that little is known of, none."""
    found = {}
    for prefix in (prefix for prefix in prefixes if prefix.startswith("s3://")):
        ((photos,),) = db.execute("SELECT count(*) FROM known WHERE starts_with(uri, ?)", [prefix]).fetchall()
        ranges = min(RANGES, photos // _LEAST)
        if ranges >= THREADS:
            # By hash, so that nothing needs to be sorted but the sample, and it is the same one each time.
            one_of = max(photos // (ranges * _SAMPLE), 1)
            sample = "SELECT uri FROM known WHERE starts_with(uri, ?) AND hash(uri) % ? = 0 ORDER BY uri"
            found[prefix] = evenly([uri for (uri,) in db.execute(sample, [prefix, one_of]).fetchall()], ranges)
    return found
