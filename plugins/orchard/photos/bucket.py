"""Bucket: the objects under prefixes of S3, listed side by side.

S3 lists a thousand keys a request, in the order of their UTF-8, each request after the one before. So a prefix is cut
into ranges of keys, and these are listed at the same time. Each key is in one range, whatever cuts and keys there are;
good cuts only make the ranges about equal.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from queue import Empty, Queue
from threading import Event
from typing import Any, NamedTuple

from orchard.photos.contents import read_fast

THREADS = 16
RANGES = 200  # of a prefix at most: many more than threads, so that all end at about the same time
_PARTS = 32  # ranges of a prefix that nothing is known of
_LOOKS = 20  # requests that are spent on finding where to cut it
_PAGE = 1000  # the most keys that S3 gives at a time
_DIRECTORY = "--x-s3"  # ends the names of directory buckets, which know no order and no StartAfter

Item = dict[str, Any]  # as S3 lists an object: Key, ETag, Size, LastModified


class DisorderError(RuntimeError):
    """A store lists keys in another order than S3 does: where a range ends cannot be told."""


class Page(NamedTuple):
    """Some objects under one of the prefixes asked for."""

    bucket: str
    prefix: str
    items: list[Item]


class _Range(NamedTuple):
    """Keys that begin with `prefix`, behind `after`, and up to `until`, itself included; to the end without it."""

    bucket: str
    prefix: str
    after: str = ""
    until: str | None = None


class _Stopped(Exception):
    """Nobody waits for what is listed any more."""


def client_config() -> Any:
    """Return how a client for `pages` is best configured: as many connections as threads, patient when throttled."""
    from botocore.config import Config

    return Config(
        max_pool_connections=THREADS, connect_timeout=10, retries={"mode": "adaptive", "total_max_attempts": 8}
    )


def pages(
    prefixes: Sequence[tuple[str, str]],
    client: Any = None,
    cuts: Mapping[tuple[str, str], Sequence[str]] | None = None,
    requests: Counter[str] | None = None,
) -> Generator[Page, None, None]:
    """List the objects under prefixes, to their end or with the first error; in no order.

    Those whose key ends with a slash are left out: they are what S3's console makes of a folder.

    Parameters
    ----------
    prefixes : sequence of (bucket, prefix)
        None of which begins with another.
    client : S3 client of boto3, optional
        Default: one with `client_config`. No more threads list than it has connections.
    cuts : Mapping of (bucket, prefix) to sequence of str, optional
        Keys to cut a prefix at, in their order. One without them is cut at its folders.
    requests : Counter of str, optional
        Counts what S3 is asked for, under LIST.

    Raises
    ------
    DisorderError
    """
    if client is None:
        import boto3

        client = boto3.client("s3", config=client_config())
    read_fast(client)
    requests = Counter() if requests is None else requests
    threads = min(THREADS, client.meta.config.max_pool_connections)
    # Room for what each thread can still put in once it was told to stop, so that none waits for ever.
    out: Queue[Page | Exception | None] = Queue(2 * threads)
    stop, pool = Event(), ThreadPoolExecutor(threads, "listing")

    def emit(message: Page | Exception | None) -> None:
        if stop.is_set():
            raise _Stopped
        out.put(message)

    def work(part: _Range) -> None:
        try:
            _list(client, part, emit)
            emit(None)
        except _Stopped:
            pass
        except Exception as error:
            emit(error)

    def cut(where: tuple[str, str]) -> tuple[list[_Range], int]:
        at, asked = (cuts or {}).get(where, ()), 0
        if not at and len(prefixes) < _PARTS and not where[0].endswith(_DIRECTORY):
            at, asked = _look(client, *where)
        return _ranges(where, at), asked

    try:
        found = list(pool.map(cut, prefixes))
        requests["LIST"] += sum(asked for _, asked in found)
        parts = [part for ranges, _ in found for part in ranges]
        for part in parts:
            pool.submit(work, part)
        running = len(parts)
        while running:
            message = out.get()
            if message is None:
                running -= 1
            elif isinstance(message, Exception):
                raise message
            else:
                requests["LIST"] += 1
                yield message
    finally:
        stop.set()
        while True:
            try:
                out.get_nowait()
            except Empty:
                break
        pool.shutdown(cancel_futures=True)


def evenly(keys: Sequence[str], parts: int) -> list[str]:
    """Choose keys that cut the others into so many parts of about the same size."""
    chosen = (keys[len(keys) * part // parts] for part in range(1, parts)) if keys else ()
    return list(dict.fromkeys(chosen))


def _ranges(where: tuple[str, str], cuts: Sequence[str]) -> list[_Range]:
    if where[0].endswith(_DIRECTORY):
        return [_Range(*where)]
    inside = sorted({cut for cut in cuts if cut.startswith(where[1]) and cut})
    return [_Range(*where, after or "", until) for after, until in pairwise([None, *inside, None])]


def _look(client: Any, bucket: str, prefix: str) -> tuple[list[str], int]:
    """Find where to cut a prefix, at its folders, and at theirs while these are few; tell how many requests it took."""
    waiting, found, asked = [prefix], list[str](), 0
    while waiting and len(found) < _PARTS:
        for page in _paginate(client, bucket, waiting.pop(0), Delimiter="/"):
            folders = [folder["Prefix"] for folder in page.get("CommonPrefixes", ())]
            found, waiting, asked = found + folders, waiting + folders, asked + 1
            if asked == _LOOKS:
                return evenly(sorted(found), _PARTS), asked
    return evenly(sorted(found), _PARTS) if len(found) > _PARTS else sorted(found), asked


def _list(client: Any, part: _Range, emit: Callable[[Page], None]) -> None:
    """List a range, page by page. Python orders strings as S3 does."""
    before = part.after
    for page in _paginate(client, part.bucket, part.prefix, **({"StartAfter": before} if before else {})):
        items: list[Item] = page.get("Contents", [])
        if items and items[0]["Key"] <= before and not part.bucket.endswith(_DIRECTORY):
            raise DisorderError(
                f"s3://{part.bucket}/{part.prefix}: the store listed {items[0]['Key']!r} after {before!r}; expected "
                "keys in the order of their UTF-8, as S3 lists them. Nothing was deleted; the store cannot be listed "
                "side by side."
            )
        before = items[-1]["Key"] if items else before
        over = part.until is not None and before >= part.until
        if over:
            items = items[: bisect_right(items, part.until, key=lambda item: item["Key"])]
        emit(Page(part.bucket, part.prefix, [item for item in items if not item["Key"].endswith("/")]))
        if over:
            return


def _paginate(client: Any, bucket: str, prefix: str, **more: str) -> Iterable[dict[str, Any]]:
    pages: Iterable[dict[str, Any]] = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, **more
    )
    return pages
