"""S3: an emulator of it behind a proxy that counts requests, and that can be as far away as S3 is.

    with serving(folder, first_byte=0.06, rate=80e6) as s3:
        os.environ |= s3.environment

The emulator answers at once and at the speed of memory; a GET through the proxy waits for its first byte, and then
comes as fast as one connection to S3 carries.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from aiohttp import ClientSession, TCPConnector, web
from yarl import URL

from local.stack import free_port

_REGION = "eu-west-1"
_COUNTS = "/_counts"
_PIECE = 1 << 18
_START_SECONDS = 60
_OF_A_CONNECTION = ("connection", "expect", "transfer-encoding")  # headers that are not handed on


@dataclass(frozen=True)
class Served:
    """An S3 that listens."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What every client of AWS reads."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": _REGION, "AWS_DEFAULT_REGION": _REGION, **keys}

    def counts(self) -> Counter[str]:
        """Count what was asked for since it began, by kind: LIST, GET, HEAD, PUT, DELETE and POST of S3, and GLUE."""
        with urlopen(f"{self.url}{_COUNTS}") as answer:
            return Counter(json.load(answer))


@contextmanager
def serving(folder: Path, first_byte: float = 0.0, rate: float | None = None) -> Iterator[Served]:
    """Start emulator and proxy, both in processes of their own; they end with the ``with``.

    Parameters
    ----------
    folder : Path
        For what the emulator keeps.
    first_byte : float
        Seconds that each answer of S3 waits.
    rate : float, optional
        Bytes a second of a connection; default: as they come.
    """
    behind, port = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {
        "GATEWAY_PORT": str(behind),
        "BIND_HOST": "127.0.0.1",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
        "IOT_MTLS_ENABLED": "0",  # these two would listen on fixed ports
        "SFTP_ENABLED": "0",
        "TMPDIR": str(folder),
    }
    proxy = [sys.executable, "-m", "benchmarks.s3", f"http://127.0.0.1:{behind}", "--port", str(port)]
    proxy += ["--first-byte", str(first_byte), *(["--rate", str(rate)] if rate else [])]
    with (folder / "log").open("wb") as log:
        emulator = [sys.executable, "-m", "ministack"]
        started = [
            subprocess.Popen(emulator, cwd=folder, env=environment | settings, stdout=log, stderr=log),
            subprocess.Popen(proxy, env=environment, stdout=log, stderr=log),
        ]
        try:
            served = Served(f"http://127.0.0.1:{port}")
            _wait(f"http://127.0.0.1:{behind}/_ministack/health", folder / "log")
            _wait(f"{served.url}{_COUNTS}", folder / "log")
            yield served
        finally:
            for one in started:
                one.terminate()
            for one in started:
                one.wait()


def _wait(url: str, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        try:
            urlopen(url, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"No answer from {url}:\n{log.read_text(errors='replace')[-3000:]}")


def kind(method: str, path: str, query: str, target: str) -> str:
    """Name the kind of a request, as S3's prices and S3's own documentation have it."""
    if target:
        return "GLUE" if target.startswith("AWSGlue") else target.partition(".")[0].upper()
    if method == "GET" and "/" not in path.strip("/"):
        return "LIST"
    if method == "POST" and "delete" in query.split("&")[0]:
        return "DELETE"
    return method


class Proxy:
    """Hands requests on, and counts them."""

    def __init__(self, target: str, first_byte: float, rate: float | None) -> None:
        self._target, self._first_byte, self._rate = target, first_byte, rate
        self._counts: Counter[str] = Counter()

    async def run(self, port: int) -> None:
        connector = TCPConnector(limit=0)
        async with ClientSession(auto_decompress=False, connector=connector) as self._client:
            app = web.Application(client_max_size=1 << 32)
            app.router.add_get(_COUNTS, self._told)
            app.router.add_route("*", "/{path:.*}", self._handed_on)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await asyncio.Event().wait()

    async def _told(self, _: web.Request) -> web.Response:
        return web.json_response(self._counts)

    async def _handed_on(self, request: web.Request) -> web.StreamResponse:
        asked = kind(request.method, request.path, request.query_string, request.headers.get("X-Amz-Target", ""))
        self._counts[asked] += 1
        body = await request.read()
        late = asyncio.sleep(self._first_byte if asked != "GLUE" else 0.0)
        url = URL(self._target + request.raw_path, encoded=True)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OF_A_CONNECTION]
        asked_on = self._client.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        async with asked_on as answer:
            await late
            response = web.StreamResponse(status=answer.status, headers=answer.headers)
            await response.prepare(request)
            async for piece in answer.content.iter_chunked(_PIECE):
                if self._rate:
                    await asyncio.sleep(len(piece) / self._rate)
                await response.write(piece)
            await response.write_eof()
            return response


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3", description="The proxy alone.")
    parser.add_argument("target", help="address of an S3")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first-byte", type=float, default=0.0, help="seconds")
    parser.add_argument("--rate", type=float, help="bytes a second of a connection")
    args = parser.parse_args()
    asyncio.run(Proxy(args.target, args.first_byte, args.rate).run(args.port))


if __name__ == "__main__":
    main()
