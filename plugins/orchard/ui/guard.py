"""Guard: refuses, at Airflow's API, a run whose `conf` Airflow's own services could not hand to one another.

Airflow holds each Param to its schema, but takes any other key with any value. A number of more than 64 bits, or text
that is no Unicode, fits into its database and into no message between its processes (msgpack): the task fails before it
begins, and where a callback of the run is to be told, the DAG processor ends. NaN and Infinity its pages cannot show.

The guard stands before runs, back-fills and assets of all DAGs, since they share those services. It does not stand
before `airflow dags trigger` on Airflow's own machine, nor before a DAG that triggers another.
"""

import json
import re
from typing import Any

_MAKES_RUNS = re.compile(r"/api/v2/(dags/[^/]+/dagRuns|backfills(/dry_run)?|assets/[^/]+/materialize)/?$")


class Guard:
    """ASGI middleware of Airflow's API server.

    Parameters
    ----------
    app : ASGI application
        What is behind it.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not _MAKES_RUNS.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if why := refused(body):
            answer = json.dumps({"detail": why}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
            await send({"type": "http.response.start", "status": 422, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
            return
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Any:
            return unread.pop() if unread else await receive()

        await self.app(scope, again, send)


def refused(body: bytes) -> str | None:
    """Say why a request's JSON is refused, or None; what is no JSON, Airflow refuses itself."""
    import msgspec  # Airflow's own; only the API server needs it

    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name, value in _leaves(said):
        try:
            json.dumps(value, allow_nan=False)
            msgspec.msgpack.encode(value)
        except (ValueError, OverflowError) as error:  # UnicodeEncodeError is a ValueError
            got = ascii(value)
            return (
                f"{name}: got {got if len(got) <= 100 else f'{got[:97]}...'}, which Airflow's services could not hand "
                f"to one another ({error}). Expected text, or a number of at most 64 bits; no run was made."
            )
    return None


def _leaves(value: Any, name: str = "") -> Any:
    """Yield all names, and all values in them, with where they stand."""
    if isinstance(value, dict):
        for key, one in value.items():
            where = f"{name}.{key}".removeprefix(".")
            yield ascii(where)[1:-1], key
            yield from _leaves(one, where)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(one, f"{name}[{number}]")
    else:
        yield ascii(name)[1:-1], value
