"""Bucket: the objects under prefixes of S3, listed side by side.

S3 lists a thousand keys a request, each request after the one before. So a prefix is split at its folders, and the
parts are listed at the same time. Every key is listed once: parts do not overlap, whatever keys there are.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Queue
from threading import Event
from typing import Any, NamedTuple

THREADS = 16
_PARTS = 32  # enough for all threads to end at about the same time

Item = dict[str, Any]  # as S3 lists an object: Key, ETag, Size, LastModified


class _Part(NamedTuple):
    """Keys that begin with `prefix`; with `first` and `last`, those in a range of its folders."""

    bucket: str
    prefix: str
    first: str = ""
    last: str = ""


class _Stopped(Exception):
    """Nobody waits for what is listed any more."""


_Emit = Callable[[list[Item] | list[_Part] | Exception | None], None]


def client_config() -> Any:
    """Return how a client for `objects` is best configured: as many connections as threads, patient when throttled."""
    from botocore.config import Config

    return Config(
        max_pool_connections=THREADS, connect_timeout=10, retries={"mode": "adaptive", "total_max_attempts": 8}
    )


def objects(prefixes: Sequence[tuple[str, str]], client: Any = None) -> Generator[tuple[str, Item], None, None]:
    """List the objects under prefixes, to their end or with the first error; in no order.

    Those whose key ends with a slash are left out: they are what S3's console makes of a folder.

    Parameters
    ----------
    prefixes : sequence of (bucket, prefix)
        None of which begins with another.
    client : S3 client of boto3, optional
        Default: one with `client_config`. No more threads list than it has connections.

    Yields
    ------
    (bucket, item)
    """
    if client is None:
        import boto3

        client = boto3.client("s3", config=client_config())
    threads = min(THREADS, client.meta.config.max_pool_connections)
    # Room for what each thread can still put in once it was told to stop, so that none waits for ever.
    out: Queue[tuple[str, list[Item] | list[_Part] | Exception | None]] = Queue(2 * threads)
    stop, pool, made, running = Event(), ThreadPoolExecutor(threads, "listing"), 0, 0

    def work(part: _Part, split: bool) -> None:
        def emit(message: list[Item] | list[_Part] | Exception | None) -> None:
            if stop.is_set():
                raise _Stopped
            out.put((part.bucket, message))

        try:
            (_split if split else _list)(client, part, emit)
            emit(None)
        except _Stopped:
            pass
        except Exception as error:
            emit(error)

    try:
        parts = [_Part(*prefix) for prefix in prefixes]
        while parts or running:
            made, running = made + len(parts), running + len(parts)
            for part in parts:
                pool.submit(work, part, made < _PARTS and not part.first)
            parts = []
            bucket, message = out.get()
            if message is None:
                running -= 1
            elif isinstance(message, Exception):
                raise message
            else:
                for one in message:
                    if isinstance(one, _Part):
                        parts.append(one)
                    else:
                        yield bucket, one
    finally:
        stop.set()
        while True:
            try:
                out.get_nowait()
            except Empty:
                break
        pool.shutdown(cancel_futures=True)


def _split(client: Any, part: _Part, emit: _Emit) -> None:
    """List what stands directly under a prefix, and make parts of the folders there."""
    for number, page in enumerate(_pages(client, part, Delimiter="/")):
        emit([item for item in page.get("Contents", ()) if not item["Key"].endswith("/")])
        folders = [item["Prefix"] for item in page.get("CommonPrefixes", ())]
        if folders:
            # A request a folder is too much where there are thousands.
            size = math.ceil(len(folders) / _PARTS) if number == 0 else len(folders)
            groups = [folders[i : i + size] for i in range(0, len(folders), size)]
            emit([_Part(part.bucket, *_range(part.prefix, group)) for group in groups])


def _range(prefix: str, folders: list[str]) -> tuple[str, ...]:
    return (folders[0],) if len(folders) == 1 else (prefix, folders[0], folders[-1])


def _list(client: Any, part: _Part, emit: _Emit) -> None:
    """List all of a part, page by page, in the order of its keys: that of their UTF-8, and so of Python's strings."""
    # A key that equals the folder's name, which StartAfter leaves out, ends with a slash.
    for page in _pages(client, part, **({"StartAfter": part.first} if part.first else {})):
        found: list[Item] = []
        for item in page.get("Contents", ()):
            if part.first:
                name, slash, _ = item["Key"][len(part.prefix) :].partition("/")
                if part.prefix + name + slash > part.last:
                    emit(found)
                    return
                if not slash:  # stands between the folders, and is listed already
                    continue
            if not item["Key"].endswith("/"):
                found.append(item)
        emit(found)


def _pages(client: Any, part: _Part, **more: str) -> Iterator[dict[str, Any]]:
    pages: Iterator[dict[str, Any]] = iter(
        client.get_paginator("list_objects_v2").paginate(Bucket=part.bucket, Prefix=part.prefix, **more)
    )
    return pages
