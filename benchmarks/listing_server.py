"""Listing server: an S3 of as many objects as one likes, which only lists them, in a process of its own.

It answers ListObjectsV2 as S3 does: at most a thousand keys a page, in their order, with ETag, Size and LastModified,
continued by `continuation-token` or begun behind `start-after`, as XML; with a delimiter, folders. Each answer comes
after a time that a real one takes. Keys are computed from their number, and nothing is held, so that it takes little of
the machine. No signature is checked.
"""

import asyncio
import multiprocessing
import socket
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

PAGE = 1000
FOLDERS = 131  # labels, as many as Fruits-360 once had
_LAST = chr(0x10FFFF)  # comes after all that a key goes on with
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>{bucket}</Name><Prefix>{prefix}</Prefix><StartAfter>{after}</StartAfter><KeyCount>{count}</KeyCount>"
    "<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>{truncated}</IsTruncated>{token}"
)


@dataclass(frozen=True)
class Objects(Sequence[str]):
    """Keys in their order: photos of `FOLDERS` labels, as many of each."""

    total: int

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        if not 0 <= number < self.total:
            raise IndexError(number)
        return f"photos/label {number * FOLDERS // self.total:03}/photo-{number:012}.jpg"

    def etag(self, number: int) -> str:
        """Thirty-two digits that no compression makes short, as an MD5 is."""
        return f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 1) % 2**128:032x}"


def answer(objects: Objects, bucket: str, query: dict[str, str]) -> bytes:
    """Answer a request to list."""
    prefix, after, delimiter = query.get("prefix", ""), query.get("start-after", ""), query.get("delimiter")
    token = query.get("continuation-token")
    at = int(token) if token else max(bisect_right(objects, after), bisect_left(objects, prefix))
    end = bisect_left(objects, prefix + _LAST) if prefix else len(objects)
    entries: list[str] = []
    while at < end and len(entries) < PAGE:
        if delimiter:
            name, slash, _ = objects[at][len(prefix) :].partition(delimiter)
            if slash:
                folder = prefix + name + slash
                entries.append(f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>")
                at = bisect_left(objects, folder + _LAST)
                continue
        entries.append(
            f"<Contents><Key>{objects[at].replace(' ', '%20')}</Key>"
            f"<LastModified>2026-01-{at % 28 + 1:02}T06:30:00.000Z</LastModified>"
            f"<ETag>&quot;{objects.etag(at)}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
            f"<ChecksumType>FULL_OBJECT</ChecksumType><Size>{40_000 + at % 9973}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )
        at += 1
    more = f"<NextContinuationToken>{at}</NextContinuationToken>" if at < end else ""
    head = _HEAD.format(
        bucket=bucket,
        prefix=quote(prefix),
        after=quote(after),
        count=len(entries),
        truncated=str(at < end).lower(),
        token=more,
    )
    return f"{head}{''.join(entries)}</ListBucketResult>".encode()


async def _serve(listening: socket.socket, objects: Objects, seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                url = urlsplit(request.split(b" ", 2)[1].decode())
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                body = answer(objects, unquote(url.path).strip("/"), query)
                await asyncio.sleep(seconds)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, sock=listening)
    await server.serve_forever()


def _run(listening: socket.socket, objects: Objects, seconds: float) -> None:
    asyncio.run(_serve(listening, objects, seconds))


@contextmanager
def serving(objects: Objects, seconds: float) -> Iterator[str]:
    """Serve in another process; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("spawn").Process(
            target=_run, args=(listening, objects, seconds), daemon=True
        )
        process.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()
