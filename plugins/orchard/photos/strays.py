"""Strays: photos of the lake under none of the prefixes given; where they are, and how they are taken out."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from orchard.photos.bucket import pages
from orchard.photos.listing import uri_prefix
from orchard.photos.losses import MEANT, MassDeletionError

_ROWS = 10_000  # that are held at once
# The highest folder of a stray that holds none of the prefixes; of one that stands in a folder above a prefix itself,
# that folder, without what is below it.
_PLACE = """
CREATE OR REPLACE TEMP TABLE strays AS
SELECT uri, above || regexp_extract(substr(uri, length(above) + 1), '^[^/]*/') AS folder FROM (
    SELECT uri, max_by(above, length(above)) AS above FROM elsewhere JOIN above ON starts_with(uri, above) GROUP BY uri
)
"""
_FOLDERS = "SELECT folder, count(*), min(uri), max(uri) FROM strays GROUP BY folder ORDER BY count(*) DESC, folder"


class Stray(NamedTuple):
    """Photos of the lake that stand at one place."""

    prefix: str
    photos: int
    folder: str  # by which the table `strays` tells them apart


def strays(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str]) -> list[Stray]:
    """Find where the photos of `elsewhere` stand, most photos first."""
    above = {"file:///", "s3://"}
    for prefix in prefixes:
        above |= {prefix[: end + 1] for end in range(len("s3://"), len(prefix)) if prefix[end] == "/"}
    db.register("folders", pa.table({"above": sorted(above)}))
    db.execute("CREATE OR REPLACE TEMP TABLE above AS SELECT * FROM folders")
    db.execute(_PLACE)
    found = []
    for folder, photos, first, last in db.execute(_FOLDERS).fetchall():
        begin = os.path.commonprefix([first, last])  # noqa: RUF071  # of addresses; cut at a slash
        found.append(Stray(folder if folder in above else begin[: begin.rindex("/") + 1], photos, folder))
    return found


def still_there(db: duckdb.DuckDBPyConnection, stray: Stray, s3: Any = None) -> str:
    """Count how many of the photos can still be found: a number as text, or what is known of it."""
    from botocore.exceptions import BotoCoreError, ClientError

    uris = "SELECT uri FROM strays WHERE folder = ?"
    if stray.prefix.startswith("file://"):
        there, rows = 0, db.execute(uris, [stray.folder])
        while some := rows.fetchmany(_ROWS):
            there += sum(os.path.lexists(uri.removeprefix("file://")) for (uri,) in some)
        return f"{there:,}"
    db.execute("CREATE OR REPLACE TEMP TABLE there (uri VARCHAR)")
    most = _ROWS + 10 * stray.photos  # much else may lie there by now
    bucket, _, key = stray.prefix.removeprefix("s3://").partition("/")
    try:
        with closing(pages([(bucket, key)], s3)) as listed:
            keys = islice((f"s3://{bucket}/{item['Key']}" for page in listed for item in page.items), most)
            while part := list(islice(keys, _ROWS)):
                db.register("keys", pa.table({"uri": part}))
                db.execute("INSERT INTO there FROM keys")
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        return "0" if code == "NoSuchBucket" else f"an unknown number ({code})"
    ((there,),) = db.execute(f"SELECT count(*) FROM ({uris}) SEMI JOIN there USING (uri)", [stray.folder]).fetchall()
    ((looked_at,),) = db.execute("SELECT count(*) FROM there").fetchall()
    return f"{there:,}" if looked_at < most else f"at least {there:,}"


def demand_apart(prefix: str, prefixes: Sequence[str]) -> str:
    """Refuse to take out a prefix that overlaps with one that is listed; return it as `uri_prefix` does.

    Raises
    ------
    ValueError
    """
    out = uri_prefix(prefix)
    if clash := next((one for one in prefixes if one.startswith(out) or out.startswith(one)), None):
        raise ValueError(
            f"{prefix}: expected to take out a prefix that is not among those given, got one that overlaps with "
            f"{clash}, which is listed: its photos would be found again. Leave it out there first."
        )
    return out


def take_out(
    db: duckdb.DuckDBPyConnection,
    prefix: str,
    prefixes: Sequence[str],
    *,
    deleted: Callable[[str], bool] = lambda _: False,
    meant: bool = False,
    s3: Any = None,
) -> tuple[str, ...]:
    """Put the deletion of all that the lake holds under a prefix into the batch; return what a person should know.

    Parameters
    ----------
    deleted : callable
        Whether photos under a prefix were deleted by an earlier run, which may not have come to its end yet.

    Raises
    ------
    ValueError
        The prefix is among those given, or the lake holds nothing under it, and never did.
    MassDeletionError
        Some of the photos are still there, or may be, and it was not said that this is meant.
    """
    out = demand_apart(prefix, prefixes)
    db.execute(
        "CREATE OR REPLACE TEMP TABLE strays AS "
        "SELECT DISTINCT uri, $out AS folder FROM elsewhere WHERE starts_with(uri, $out)",
        {"out": out},
    )
    ((photos,),) = db.execute("SELECT count(*) FROM strays").fetchall()
    if not photos and deleted(out):
        return (f"The lake holds no photo under {out} any more: an earlier run has taken them out.",)
    if not photos:
        others = ", ".join(f"{one.photos:,} under {one.prefix}" for one in strays(db, prefixes)[:10])
        raise ValueError(
            f"{prefix}: expected a prefix to take out that the lake holds photos under, got one with none. "
            f"Besides what is listed, it holds {others or 'no photo'}."
        )
    there = still_there(db, Stray(out, photos, out), s3)
    if there != "0" and not meant:
        raise MassDeletionError(
            f"{there} of the {photos:,} photos that the lake holds under {out} are still there: a prefix that is gone "
            "was expected, so nothing is taken out and the run stops. Name it among the prefixes to keep it; if its "
            f"photos are to leave the lake, {MEANT}"
        )
    db.execute(
        "INSERT INTO batch (uri, etag, action) SELECT DISTINCT ON (uri) uri, etag, 'delete' FROM elsewhere "
        "WHERE starts_with(uri, ?)",
        [out],
    )
    db.execute("DELETE FROM elsewhere WHERE starts_with(uri, ?)", [out])
    return ()
