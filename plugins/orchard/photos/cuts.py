"""Cuts: where a listing is cut into about equal parts, by what the lake knows of the keys there."""

from collections.abc import Sequence

import duckdb

from orchard.photos.bucket import RANGES, THREADS, evenly

_LEAST = 5_000  # photos of a range: of less, the pages at its ends, which are not full, would be too many
_SAMPLE = 100  # photos of each range that are looked at to choose the cuts


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
