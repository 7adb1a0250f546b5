"""Listing: every photo under a prefix of a bucket or a folder, as Arrow batches.

It takes every key that S3 allows and every name that a file system does (obstore's listing fails as a whole on some).
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".mpo")
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


class Photo(NamedTuple):
    """One object that is named like a photo."""

    uri: str
    etag: str
    size: int
    last_modified: datetime
    label: str | None


def canonical_prefix(prefix: str) -> str:
    """Return the beginning that all uris under a prefix share: ``s3://bucket/...`` or ``file:///folder/``."""
    if prefix.startswith("s3://"):
        bucket, slash, _ = prefix.removeprefix("s3://").partition("/")
        if not bucket:
            raise ValueError(f"{prefix}: expected s3://bucket or s3://bucket/prefix.")
        return prefix if slash else prefix + "/"
    folder = Path(prefix.removeprefix("file://")).resolve()
    if not folder.is_dir():
        raise NotADirectoryError(f"{prefix}: expected a folder of photos, one folder a label; there is no such folder.")
    return f"file://{folder}/".replace("file:////", "file:///")


def list_photos(prefix: str) -> Iterator[pa.RecordBatch]:
    """List the photos under a prefix, to its end or with an error.

    Parameters
    ----------
    prefix : str
        As `canonical_prefix` gives it.

    Yields
    ------
    RecordBatch
        Of `SCHEMA`. ``label`` is the name of the parent folder, null for a photo at the top of the bucket or folder.
    """
    photos = _list_bucket(prefix) if prefix.startswith("s3://") else _list_folder(prefix.removeprefix("file://"))
    while rows := list(islice(photos, _ROWS)):
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
        yield pa.record_batch(columns, schema=SCHEMA)


def _list_bucket(prefix: str) -> Iterator[Photo]:
    import boto3

    bucket, _, key_prefix = prefix.removeprefix("s3://").partition("/")
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key_prefix)
    for page in pages:
        for item in page.get("Contents", ()):
            key = item["Key"]
            if key.lower().endswith(SUFFIXES):
                label = key.split("/")[-2] if "/" in key else None
                yield Photo(f"s3://{bucket}/{key}", item["ETag"], item["Size"], item["LastModified"], label or None)


def _list_folder(top: str) -> Iterator[Photo]:
    waiting, seen = [top], set()
    while waiting:
        folder = waiting.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above it
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    waiting.append(entry.path)
                elif entry.name.lower().endswith(SUFFIXES) and (entry.is_file() or entry.is_symlink()):
                    yield _file(entry, None if folder == top else _text(os.path.basename(folder)))


def _file(entry: os.DirEntry[str], label: str | None) -> Photo:
    status = entry.stat(follow_symlinks=entry.is_file())  # of a link to nowhere, the link: reading it will say so
    # As obstore makes it, which reads the file on condition of it.
    etag = f'"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"'
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return Photo(f"file://{_text(entry.path)}", etag, status.st_size, modified, label)


def _text(name: str) -> str:
    """Name as valid Unicode; a name that is not UTF-8 gets escapes, and its photo is rejected when it is read."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
