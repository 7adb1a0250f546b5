"""Notes: what a person should know of a listing, and no count tells.

A prefix that lists nothing and never did; photos of the lake under a prefix that was not given; labels and photos that
are there twice. All is read from what `orchard.photos.discovery` has loaded; nothing here decides about a photo.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb

from orchard.photos.label import twins
from orchard.photos.strays import still_there, strays

_MOST = 3  # of each kind are named
_LABELS = 100_000  # are compared: more are no kinds of fruit
# An etag stands for the very file on a disk, and in S3 for the bytes; one that does not (KMS) is like no other.
_NEW = "SELECT uri, etag FROM batch SEMI JOIN elsewhere USING (etag) WHERE action = 'add' AND size > 0"
_OLD = "SELECT min(uri) FROM elsewhere WHERE etag = ?"
# Lists of uris would not spill, nor would sets of them: what is there twice is counted, and two are fetched.
_SAME_IN_S3 = """
CREATE OR REPLACE TEMP TABLE same AS SELECT etag, size, count(*) AS n FROM listed
WHERE starts_with(uri, 's3://') AND size > 0 AND etag IN (SELECT etag FROM batch WHERE action IN ('add', 'change'))
GROUP BY etag, size HAVING n > 1
"""
_FIRST = (
    "SELECT etag, size FROM listed JOIN same USING (etag, size) WHERE starts_with(uri, 's3://') ORDER BY uri LIMIT 1"
)
_FIRST_TWO = (
    f"SELECT uri FROM listed JOIN ({_FIRST}) USING (etag, size) WHERE starts_with(uri, 's3://') ORDER BY uri LIMIT 2"
)
_SAME_SIZE = """
SELECT size, uri FROM listed WHERE starts_with(uri, 'file://') AND size IN (
    SELECT size FROM listed WHERE starts_with(uri, 'file://') AND size > 0
    AND size IN (SELECT size FROM batch WHERE action IN ('add', 'change')) GROUP BY size HAVING count(*) > 1
) ORDER BY size, uri
"""
_TOO_GOOD = "each counts, and what is measured on them is too good."


def notes(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str], s3: Any = None) -> tuple[str, ...]:
    """Tell what is odd, a sentence each.

    Parameters
    ----------
    db : connection
        With the tables `listed`, `known` and `batch` of a run, and `elsewhere`: what else the lake holds.
    prefixes : sequence of str
        As `canonical_prefix` gives them.
    s3 : S3 client of boto3, optional
        Default: boto3's own.
    """
    return (*_never(db, prefixes), *_not_given(db, prefixes, s3), *_twins(db), *_copies(db))


def _never(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str]) -> Iterator[str]:
    both = "SELECT uri FROM listed UNION ALL SELECT uri FROM known"
    for prefix in prefixes:
        if db.execute(f"SELECT 1 FROM ({both}) WHERE starts_with(uri, ?) LIMIT 1", [prefix]).fetchall() == []:
            yield f"No photo is under {prefix}, nor does the lake hold one from there: is that where they are?"


def _not_given(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str], s3: Any) -> Iterator[str]:
    found = strays(db, prefixes)
    for stray in found[:_MOST]:
        said = (
            f"The lake holds {_photos(stray.photos)} under {stray.prefix}, which is not among the prefixes given: "
            f"{still_there(db, stray, s3)} still there. What the lake holds stays"
        )
        if any(prefix.startswith(stray.prefix) for prefix in prefixes):
            yield f"{said}."
        else:
            yield f"{said}; --take-out {stray.prefix} (the Param take_out of the DAG) takes it out."
    if others := found[_MOST:]:
        photos = _photos(sum(stray.photos for stray in others))
        yield f"The lake holds {photos} in {len(others):,} more places that are not among the prefixes given."


def _twins(db: duckdb.DuckDBPyConnection) -> Iterator[str]:
    both = "SELECT label FROM listed UNION SELECT label FROM elsewhere"
    labels = db.execute(f"SELECT label FROM ({both}) WHERE label IS NOT NULL LIMIT {_LABELS + 1}").fetchall()
    if len(labels) <= _LABELS and (found := twins(label for (label,) in labels)):
        named = "; ".join(" and ".join(map(repr, group)) for group in found[:_MOST])
        more = f"; and {len(found) - _MOST:,} more" if len(found) > _MOST else ""
        yield f"Labels that differ only in case or blanks, probably meant to be one: {named}{more}."


def _copies(db: duckdb.DuckDBPyConnection) -> Iterator[str]:
    ((moved,),) = db.execute(f"SELECT count(*) FROM ({_NEW})").fetchall()
    if moved:
        ((new, etag),) = db.execute(f"{_NEW} ORDER BY uri LIMIT 1").fetchall()
        ((old,),) = db.execute(_OLD, [etag]).fetchall()
        yield f"New, but in the lake under another name: {_photos(moved)}, such as {new}, there as {old}; {_TOO_GOOD}"
    db.execute(_SAME_IN_S3)
    ((same,),) = db.execute("SELECT coalesce(sum(n - 1), 0)::BIGINT FROM same").fetchall()
    example = [uri for (uri,) in db.execute(_FIRST_TWO).fetchall()] if same else []
    rows = db.execute(_SAME_SIZE)
    # On a disk nothing but the bytes tells: those of a size are read where one of them is new.
    for _, of_a_size in groupby(iter(rows.fetchone, None), key=itemgetter(0)):
        for uris in _equal(uri for _, uri in of_a_size):
            same, example = same + len(uris) - 1, min(example or uris, uris)
    if same:
        one, other = example[:2]
        yield f"The same bytes under another name: {_photos(same)}, such as {other}, those of {one}; {_TOO_GOOD}"


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"


def _equal(uris: Iterable[str]) -> list[list[str]]:
    by_digest = defaultdict(list)
    for uri in uris:
        try:
            with open(uri.removeprefix("file://"), "rb") as file:
                by_digest[hashlib.file_digest(file, "sha256").digest()].append(uri)
        except OSError:  # a step will say why it cannot be read
            continue
    return [same for same in by_digest.values() if len(same) > 1]
