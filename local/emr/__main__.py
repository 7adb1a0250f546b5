"""Start the local EMR."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from local.emr.app import Server
from local.emr.configuration import spark_home
from local.emr.connection import Connection
from local.emr.house import House
from local.emr.settings import REPOSITORY, Settings


class _Uvicorn(uvicorn.Server):
    """Uvicorn, but a signal is no failure: when asked to stop, it stops and says so with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, self, "should_exit", True)
        yield


def parser() -> argparse.ArgumentParser:
    jars = REPOSITORY / ".jars"
    default = Settings(Path())
    made = argparse.ArgumentParser("python -m local.emr", description="An EMR on this machine that really runs steps.")
    made.add_argument("--port", type=int, default=5555, help="(%(default)s); 0: any free one")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    made.add_argument("--data", type=Path, default=Path(".emr"), help="folder of all state and logs (%(default)s)")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    made.add_argument("--s3-endpoint", default=endpoint, help="URL of the S3 with artefacts and logs (%(default)s)")
    made.add_argument("--iam-endpoint", help="URL of the IAM whose policies are enforced (none: all is allowed)")
    made.add_argument("--region", default=os.environ.get("AWS_REGION", default.region), help="(%(default)s)")
    made.add_argument("--slots", type=int, default=default.slots, help="N of Spark's local[N] (%(default)s)")
    made.add_argument("--jars-dir", dest="jars", type=Path, help="jars for all Spark steps (the repository's .jars)")
    made.set_defaults(jars=jars if jars.is_dir() else None)
    for name, text in (
        ("start-delay", "seconds of STARTING"),
        ("stop-delay", "seconds of TERMINATING"),
        ("log-delay", "seconds until a step's logs are under LogUri; up to 300 on EMR"),
        ("idle-speed", "how many seconds of an idle time-out pass in one"),
        ("throttle", "share of calls answered with ThrottlingException"),
    ):
        value = getattr(default, name.replace("-", "_"))
        made.add_argument(f"--{name}", type=float, default=value, help=f"{text} (%(default)s)")
    made.add_argument("--seed", type=int, default=0, help="of what is random (%(default)s)")
    made.add_argument("--history-port", type=int, default=0, help="of Spark's history server (0: any free one)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; return 0, or 2 when it cannot start."""
    args = parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        listening = socket.create_server((args.host, args.port))
    except OSError as error:
        print(f"{args.host}:{args.port} cannot be listened on: {error.strerror}. Try another --port.", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        stack.enter_context(listening)
        try:
            settings = Settings(**{name: value for name, value in vars(args).items() if name != "port"})
            spark_home()
            house = House.build(settings)
            stack.callback(house.store.close)
            server = Server(house)
        except (ValueError, RuntimeError) as error:
            print(error, file=sys.stderr)
            return 2
        host, port = listening.getsockname()[:2]
        s3 = settings.s3_endpoint or "AWS"
        serve(server.app(), listening, f"Local EMR at http://{host}:{port}, data in {house.store.data}, S3: {s3}")
    return 0


def serve(app: ASGIApp, listening: socket.socket, ready: str) -> None:
    """Run the server on a socket; say when it is ready."""
    config = uvicorn.Config(
        app, http=Connection, ws="none", loop="asyncio", log_level="warning", timeout_graceful_shutdown=2
    )

    class Announced(_Uvicorn):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(ready, flush=True)

    asyncio.run(Announced(config).serve([listening]))


if __name__ == "__main__":
    sys.exit(main())
