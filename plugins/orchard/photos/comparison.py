"""Comparison: a listing held against what the lake knows; what differs becomes a run's batch.

Both are tables of DuckDB's, which spills, so that memory is bounded whatever bucket and lake hold. They are joined
once; what comes after reads the differences alone, which are few but for a first run.
"""

import duckdb

# A photo that had no label and has one now has changed, though its bytes have not, and so has one that lost its label:
# the one is to be embedded, the other to be rejected. Of photos rejected for another reason no label is known.
# Photos on a disk that an older version embedded are known without the last part of their etag.
_SAME = """
CREATE OR REPLACE TEMP MACRO same(known, listed) AS
known = listed OR regexp_replace(listed, '-[0-9a-f]+"$', '"') = known
    AND listed.regexp_matches('^"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"$')
"""
_DIFFERENCES = """
SELECT coalesce(l.uri, k.uri) AS uri, coalesce(l.etag, k.etag) AS etag, l.size, l.last_modified, l.label, CASE
    WHEN l.uri IS NULL THEN 'delete'
    WHEN k.uri IS NULL THEN 'add'
    WHEN same(k.etag, l.etag) AND k.label IS NOT NULL AND l.label IS NOT NULL THEN 'relabel'
    ELSE 'change'
END AS action, k.label AS known_label
FROM {listed} l FULL JOIN {known} k ON k.uri = l.uri
WHERE l.uri IS NULL OR k.uri IS NULL OR NOT same(k.etag, l.etag) OR (k.judged AND k.label IS DISTINCT FROM l.label)
"""
# A step that was killed can leave a photo in both tables, embedded and rejected: it stands in the batch once. New ones,
# of which a first run has all, need not be compared with each other.
_BATCH = """
CREATE TABLE batch AS SELECT * EXCLUDE known_label FROM differences WHERE action = 'add'
UNION ALL (SELECT DISTINCT ON (uri) * EXCLUDE known_label FROM differences WHERE action <> 'add')
"""
# DuckDB compares text by its bytes, and so the order is the same everywhere.
_LEAVE = """
DELETE FROM batch WHERE action IN ('add', 'change') AND uri >= (
    SELECT uri FROM batch WHERE action IN ('add', 'change') ORDER BY uri LIMIT 1 OFFSET ?
)
"""


def compare(db: duckdb.DuckDBPyConnection) -> None:
    """Find how `listed` and `known` differ, into `differences`."""
    db.execute(_SAME)
    db.execute("CREATE TABLE differences AS " + _DIFFERENCES.format(listed="listed", known="known"))


def compare_again(db: duckdb.DuckDBPyConnection) -> None:
    """Bring `differences` up to date for the uris in `asked`, of which `listed` now says something else."""
    some = {name: f"(FROM {name} SEMI JOIN asked USING (uri))" for name in ("listed", "known")}
    db.execute("DELETE FROM differences WHERE uri IN (FROM asked)")
    db.execute("INSERT INTO differences " + _DIFFERENCES.format(**some))


def make_batch(db: duckdb.DuckDBPyConnection) -> None:
    """Make the table `batch` of the differences."""
    db.execute(_BATCH)


def leave(db: duckdb.DuckDBPyConnection, limit: int) -> int:
    """Leave photos that are new or have changed for a later run, all but the first; return how many."""
    ((left,),) = db.execute(_LEAVE, [limit]).fetchall()
    return int(left)
