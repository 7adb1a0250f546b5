"""Listing: every photo under a prefix of a bucket or a folder, as Arrow batches.

It takes every key that S3 allows and every name that a file system does (obstore's listing fails as a whole on some).
"""

import errno
import os
import stat
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from orchard.photos.bucket import Page, pages
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
    """One file that is named like a photo."""

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
    *prefixes: str,
    rule: LabelRule = PARENT,
    client: Any = None,
    sieve: Sieve | None = None,
    cuts: Mapping[str, Sequence[str]] | None = None,
    requests: Counter[str] | None = None,
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
    cuts : Mapping of str to sequence of str, optional
        For a prefix in S3, uris that cut it into parts to be listed side by side.
    requests : Counter of str, optional
        Counts what S3 is asked for.

    Yields
    ------
    RecordBatch
        Of `SCHEMA`. ``label`` is null where the rule finds none.
    """
    sieve = sieve or Sieve()
    for prefix in prefixes:
        if not prefix.startswith("s3://"):
            photos = _list_folder(prefix.removeprefix("file://"), rule, sieve)
            while rows := list(islice(photos, _ROWS)):
                yield _batch(zip(*rows, strict=True))
    in_s3 = {split(prefix): prefix for prefix in prefixes if prefix.startswith("s3://")}
    at = {where: [split(uri)[1] for uri in (cuts or {}).get(prefix, ())] for where, prefix in in_s3.items()}
    if in_s3:
        with closing(pages(list(in_s3), client, at, requests)) as listed:
            for page in listed:
                if (batch := photos_among(page, rule, sieve)).num_rows:
                    yield batch


def photos_among(page: Page, rule: LabelRule, sieve: Sieve) -> pa.RecordBatch:
    """Make a batch of those objects of a page that are looked into."""
    top, begin = f"s3://{page.bucket}/", len(page.prefix)
    items = [item for item in page.items if sieve.passes(item["Key"][begin:], top + item["Key"])]
    keys = [item["Key"] for item in items]
    columns = [[item[name] for item in items] for name in ("ETag", "Size", "LastModified")]
    return _batch([[top + key for key in keys], *columns, [rule.find(key) for key in keys]])


def split(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key``."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _batch(columns: Iterable[Sequence[Any]]) -> pa.RecordBatch:
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


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
