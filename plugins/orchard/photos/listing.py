"""Listing: every photo under a prefix of a bucket or a folder, as Arrow batches.

It takes every key that S3 allows and every name that a file system does (obstore's listing fails as a whole on some).
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from orchard.photos.bucket import objects
from orchard.photos.label import PARENT, LabelRule
from orchard.photos.sieve import Sieve

SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("last_modified", pa.timestamp("us", "UTC")),
        ("label", pa.string()),
    ]
)
_ROWS = 50_000  # a batch of some megabytes
_FILES = (stat.S_IFREG, stat.S_IFLNK)
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)  # where a link can lead


class Photo(NamedTuple):
    """One object that is named like a photo."""

    uri: str
    etag: str
    size: int
    last_modified: datetime
    label: str | None


def canonical_prefix(prefix: str) -> str:
    """Return `uri_prefix` of a place that can be listed.

    Raises
    ------
    ValueError
        It names no bucket, or a folder in a lake, whose pictures would be taken for photos.
    NotADirectoryError
        There is no such folder.
    """
    uri = uri_prefix(prefix)
    if uri.startswith("s3://"):
        return uri
    folder = Path(uri.removeprefix("file://"))
    if not folder.is_dir():
        raise NotADirectoryError(f"{prefix}: expected a folder of photos, one folder a label; there is no such folder.")
    if lake := next((one for one in (folder, *folder.parents) if _is_lake(str(one))), None):
        raise ValueError(
            f"{prefix}: expected a folder of photos beside the lake, got one in the lake {lake}, whose own pictures "
            "would be taken for photos."
        )
    return uri


def uri_prefix(prefix: str) -> str:
    """Return the beginning that all uris under a prefix share: ``s3://bucket/...`` or ``file:///folder/``.

    A prefix is a folder, with a slash at its end or without; in S3, one with ``*`` at its end is how keys begin.
    """
    if prefix.startswith("s3://"):
        bucket, _, key = prefix.removeprefix("s3://").partition("/")
        if not bucket.rstrip("*"):
            raise ValueError(f"{prefix}: expected s3://bucket or s3://bucket/prefix.")
        if key.endswith("*"):
            return f"s3://{bucket}/{key.removesuffix('*')}"
        return f"s3://{bucket}/{key}" + ("/" if key and not key.endswith("/") else "")
    return f"file://{Path(prefix.removeprefix('file://')).resolve()}/".replace("file:////", "file:///")


def list_photos(
    *prefixes: str, rule: LabelRule = PARENT, client: Any = None, sieve: Sieve | None = None
) -> Generator[pa.RecordBatch, None, None]:
    """List the photos under prefixes, to their end or with an error; close it where you stop before.

    Parameters
    ----------
    prefixes : str
        As `canonical_prefix` gives them; none of which begins with another.
    rule : LabelRule
        What finds ``label`` in a photo's key: its path below the bucket, or below the folder that is listed.
    client : S3 client of boto3, optional
        Whose credentials are used; `orchard.photos.bucket.client_config` says how it is best configured.
    sieve : Sieve, optional
        What leaves out the files of other programs, and counts them.

    Yields
    ------
    RecordBatch
        Of `SCHEMA`. ``label`` is null where the rule finds none.
    """
    with closing(_list_all(prefixes, rule, client, sieve or Sieve())) as photos:
        while rows := list(islice(photos, _ROWS)):
            columns = zip(zip(*rows, strict=True), SCHEMA, strict=True)
            yield pa.record_batch([pa.array(column, field.type) for column, field in columns], schema=SCHEMA)


def _list_all(prefixes: tuple[str, ...], rule: LabelRule, client: Any, sieve: Sieve) -> Generator[Photo, None, None]:
    for prefix in prefixes:
        if not prefix.startswith("s3://"):
            yield from _list_folder(prefix.removeprefix("file://"), rule, sieve)
    if in_s3 := [prefix.removeprefix("s3://").split("/", 1) for prefix in prefixes if prefix.startswith("s3://")]:
        with closing(objects([(bucket, begin) for bucket, begin in in_s3], client)) as items:
            for bucket, item in items:
                uri, key = f"s3://{bucket}/{item['Key']}", item["Key"]
                begin = next(one for where, one in in_s3 if where == bucket and key.startswith(one))
                if sieve.passes(key[len(begin) :], uri):
                    yield Photo(uri, item["ETag"], item["Size"], item["LastModified"], rule.find(key))


def _list_folder(top: str, rule: LabelRule, sieve: Sieve) -> Iterator[Photo]:
    waiting, links, seen = [top], deque[str](), set()
    while waiting or links:
        # Links to folders come last: a photo that stands in a folder of its own keeps the key that it has there.
        folder = waiting.pop() if waiting else links.popleft()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above it, or listed already
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                status = _status(entry)
                if stat.S_ISDIR(status.st_mode) and _is_lake(entry.path):
                    sieve.left_out["of a lake"] += 1
                elif stat.S_ISDIR(status.st_mode):
                    (links if entry.is_symlink() else waiting).append(entry.path)
                elif stat.S_IFMT(status.st_mode) not in _FILES:  # opening a pipe would wait for ever
                    sieve.left_out["no regular file"] += 1
                elif sieve.passes(path := _text(entry.path[len(top) :])):
                    label = rule.find(path)
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield Photo(f"file://{_text(entry.path)}", _etag(status), status.st_size, modified, label)


def _is_lake(folder: str) -> bool:
    """Whether a folder is a lake's, by its catalog and tables."""
    return os.path.isfile(f"{folder}/catalog.db") and os.path.isdir(f"{folder}/tables")


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    """Status of what an entry leads to; of a link to nowhere or to itself, the link's: reading it will say so."""
    try:
        return entry.stat()
    except OSError as error:
        if error.errno in _NOWHERE and entry.is_symlink():
            return entry.stat(follow_symlinks=False)
        raise


def _etag(status: os.stat_result) -> str:
    """Etag of a file's version: which file, modified and changed when (before 1970 it says 1970), and how large.

    When it was changed no program can set, as many set when it was modified (``cp -p``, ``touch -d``, ``rsync -t``).
    """
    modified, changed = (max(ns // 1000, 0) for ns in (status.st_mtime_ns, status.st_ctime_ns))
    return f'"{status.st_ino:x}-{modified:x}-{status.st_size:x}-{changed:x}"'


def _text(name: str) -> str:
    """Name as valid Unicode; a name that is not UTF-8 gets escapes, and its photo is rejected when it is read."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
