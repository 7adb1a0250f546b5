"""Confirmation: S3 itself is asked about the few photos that differ by a source that lags."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa

from orchard.photos.bucket import THREADS, Item, Page
from orchard.photos.comparison import compare_again
from orchard.photos.listed import Look
from orchard.photos.listing import photos_among, split

MOST = 10_000  # photos that are asked for in a run; a list of all costs less than many more
# First those that the lake holds: of others that are doubtful, most are long gone.
_DOUBTS = """
SELECT uri FROM (
    SELECT uri, 0 AS rank FROM differences WHERE action IN ('delete', 'change') AND ({under})
    UNION ALL SELECT uri, 1 FROM doubtful
) GROUP BY uri ORDER BY min(rank), uri LIMIT ?
"""
_NEW = "SELECT DISTINCT uri FROM differences WHERE action = 'add' AND ({under}) LIMIT ?"
_WAIT = "DELETE FROM differences WHERE action IN ('delete', 'change') AND uri NOT IN (FROM asked) AND ({under})"


def confirm(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str], look: Look) -> bool:
    """Put what S3 says in place of what was listed, and compare again; tell whether all doubts were asked about.

    Those that were not stay in the lake as they are, for a later run.

    Parameters
    ----------
    db : connection
        With `listed`, `known` and `differences`, and `doubtful`: uris of which the source does not know whether they
        are there.
    prefixes : sequence of str
        Under which the source was asked.
    """
    under = " OR ".join("starts_with(uri, ?)" for _ in prefixes)
    doubts = [uri for (uri,) in db.execute(_DOUBTS.format(under=under), [*prefixes, MOST + 1]).fetchall()]
    asked, more = doubts[:MOST], len(doubts) > MOST
    # What is new is taken at the source's word where it is much: what is gone by then is rejected when it is read.
    room = MOST - len(asked)
    new = db.execute(_NEW.format(under=under), [*prefixes, room + 1]).fetchall() if room else []
    if len(new) <= room:
        asked = list(dict.fromkeys([*asked, *(uri for (uri,) in new)]))
    if not asked:
        return True
    there = [page for page in _heads(asked, prefixes, look) if page]
    db.register("asking", pa.table({"uri": pa.array(asked, pa.string())}))
    db.execute("CREATE OR REPLACE TEMP TABLE asked AS FROM asking; DELETE FROM listed WHERE uri IN (FROM asked)")
    for page in there:
        db.register("part", photos_among(page, look.rule, look.sieve))
        db.execute("INSERT INTO listed FROM part")
    compare_again(db)
    if more:
        db.execute(_WAIT.format(under=under), prefixes)
    return not more


def _heads(uris: Sequence[str], prefixes: Sequence[str], look: Look) -> Iterable[Page | None]:
    """Ask S3 for single objects, side by side; None for those that are gone."""
    from botocore.exceptions import ClientError

    def head(uri: str) -> Page | None:
        bucket, key = split(uri)
        prefix = next(prefix for prefix in prefixes if uri.startswith(prefix))
        try:
            answer = look.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                raise
            return None
        item: Item = {"Key": key, **{name: answer[name] for name in ("ETag", "LastModified")}}
        return Page(bucket, split(prefix)[1], [{**item, "Size": answer["ContentLength"]}])

    look.requests["HEAD"] += len(uris)
    with ThreadPoolExecutor(min(THREADS, look.s3.meta.config.max_pool_connections), "asking") as pool:
        return list(pool.map(head, uris))
