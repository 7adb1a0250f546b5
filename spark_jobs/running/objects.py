"""Objects: the bytes behind a photo's uri, on the condition that they are still those that were listed.

obstore does the reading; it refuses a few keys that S3 allows (``a//b.jpg``, newlines), which boto3 and ``open`` take.
"""

import errno
import os
import re
import zlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import obstore
from obstore.exceptions import PermissionDeniedError, PreconditionError
from obstore.store import LocalStore, ObjectStore, S3Store

from spark_jobs.extractor.photos import PhotoError

_GONE = "gone: the object was deleted after it was listed"
_NO_FILE = f"{_GONE} (or its name is not UTF-8)"
# A folder on the way may have become a file, or a link one to itself; the escapes of a name that is not UTF-8 are long.
_NO_FILE_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
_CHANGED = "changed: the object was overwritten after it was listed; the next run will find its new version"
# RFC 8089: with two slashes less, or the name of this machine.
_FILE = re.compile(r"file:(//(localhost)?)?(?P<path>/.*)", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ARCHIVED = "archived: the object is in a storage class that must be restored before it can be read"


class AddressError(ValueError):
    """An address of a kind that is not read."""


def read(uri: str, etag: str) -> bytes:
    """Get an object's bytes.

    Parameters
    ----------
    uri : str
        ``file:///path`` or ``s3://bucket/key``, with the key as it is (nothing is percent-encoded).
    etag : str
        As it was listed.

    Raises
    ------
    PhotoError
        The object is gone, or another than was listed.
    Exception
        Any other failure is the system's, not the photo's: no access, no bucket, throttled beyond retries.
    """
    scheme, _, path = uri.partition("://")
    bucket, _, key = path.partition("/")
    if scheme == "file":
        return _read_file(path, etag)
    if scheme != "s3":
        raise ValueError(f"Expected a uri file://... or s3://..., got {uri!r}.")
    if key != key.strip("/"):  # obstore would strip them, and read another object
        return _read_s3(bucket, key, etag)
    try:
        data = obstore.get(s3_store(bucket), key, options={"if_match": etag}).bytes()
        return data.to_bytes()
    except ValueError:  # the key is one that obstore cannot name
        return _read_s3(bucket, key, etag)
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise
        raise PhotoError(_GONE) from None
    except PreconditionError:
        raise PhotoError(_CHANGED) from None
    except PermissionDeniedError as error:
        if "InvalidObjectState" in str(error):
            raise PhotoError(_ARCHIVED) from None
        raise


def read_whole(address: str) -> bytes:
    """Get an object whatever its etag, by its path or address: an artefact, or a photo from a command line.

    Raises
    ------
    AddressError
    """
    if not address.startswith("s3://"):
        return _path(address).read_bytes()
    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        return bytes(_boto3_client().get_object(Bucket=bucket, Key=key)["Body"].read())
    except _boto3_client().exceptions.NoSuchKey as error:
        raise FileNotFoundError(address) from error


def write(uri: str, data: bytes) -> None:
    """Put an object at a uri such as `read` takes; a file is whole or not there."""
    if uri.startswith("s3://"):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        _boto3_client().put_object(Bucket=bucket, Key=key, Body=data)
        return
    path = Path(uri.removeprefix("file://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _path(address: str) -> Path:
    """Find the file that a person means: as it is written, or as a browser or file manager writes the address."""
    path = address.removeprefix("file://")
    if os.path.lexists(path):
        return Path(path)
    if found := _FILE.fullmatch(address):
        local = found["path"]
        return Path(local) if os.path.lexists(local) else Path(unquote(local))
    if _SCHEME.match(path):
        raise AddressError(f"{address}: only paths, file:// and s3:// are taken")
    return Path(path)


def file_etag(status: os.stat_result) -> str:
    """Compute the etag that the listing gives a local file: inode, when it was modified, size, when it was changed.

    Times in microseconds since 1970, 0 before.
    """
    modified, changed = (max(ns // 1000, 0) for ns in (status.st_mtime_ns, status.st_ctime_ns))
    return f'"{status.st_ino:x}-{modified:x}-{status.st_size:x}-{changed:x}"'


def _read_file(path: str, etag: str) -> bytes:
    try:
        with open(path, "rb") as file:
            # Batches of older versions do not hold when a file was changed.
            now = file_etag(os.fstat(file.fileno()))
            if etag not in (now, now.rpartition("-")[0] + '"'):
                raise PhotoError(_CHANGED)
            return file.read()
    except OSError as error:
        if error.errno not in _NO_FILE_THERE:
            raise
        raise PhotoError(_NO_FILE) from None


def _read_s3(bucket: str, key: str, etag: str) -> bytes:
    from botocore.exceptions import ClientError

    try:
        return bytes(_boto3_client().get_object(Bucket=bucket, Key=key, IfMatch=etag)["Body"].read())
    except ClientError as error:
        reason = {"NoSuchKey": _GONE, "PreconditionFailed": _CHANGED, "InvalidObjectState": _ARCHIVED}
        # An answer that quotes a key with control characters is no XML: then boto3 knows the status alone.
        reason |= {"404": _GONE, "412": _CHANGED}
        if (code := error.response["Error"]["Code"]) in reason:
            raise PhotoError(reason[code]) from None
        raise


@cache
def open_root(root: str) -> ObjectStore:
    """Open a lake's root, a folder or ``s3://bucket[/prefix]``, for the plain files below it."""
    if not root.startswith("s3://"):
        return LocalStore(root, automatic_cleanup=True, mkdir=True)
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    return s3_store(bucket, prefix or None)


@cache
def s3_store(bucket: str, prefix: str | None = None) -> S3Store:
    """Open a bucket with boto3's credentials, region and endpoint, so that both clients agree."""
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = _session()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL"))
    options: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    return S3Store(
        bucket,
        prefix=prefix,
        region=session.region_name or "us-east-1",
        credential_provider=Boto3CredentialProvider(session),
        client_options={"allow_http": bool(endpoint and endpoint.startswith("http:"))},
        **options,
    )


@cache
def _boto3_client() -> Any:
    return _session().client("s3")


def _session() -> Any:
    """Open boto3's session; by itself it reads AWS_DEFAULT_REGION alone, where others read AWS_REGION, too."""
    import boto3

    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
