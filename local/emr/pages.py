"""Pages for people: clusters, their steps, and what these write while they run."""

import html
import time
from collections.abc import Iterable, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from local.emr.emr import Emr
from local.emr.history import History
from local.emr.logs import NAMES
from local.emr.state import Cluster

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222 }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #ddd }}
a {{ color: #0b5 }} pre {{ white-space: pre-wrap; margin: 0 }}
.FAILED, .TERMINATED_WITH_ERRORS {{ color: #c00 }} .RUNNING, .BOOTSTRAPPING {{ color: #06c }}
</style></head><body><h1>{title}</h1>{body}</body></html>"""
_TAIL = 2**20  # bytes of a log that a page shows


class Pages:
    """What a browser sees."""

    def __init__(self, emr: Emr) -> None:
        self.emr = emr
        self.history = History(emr.house)

    def routes(self) -> list[Route]:
        return [
            Route("/", self.clusters),
            Route("/clusters/{cluster}", self.cluster),
            Route("/clusters/{cluster}/spark-ui", self.spark_ui),
            Route("/clusters/{cluster}/steps/{step}/{log}", self.step_log),
            Route("/clusters/{cluster}/bootstrap-actions/{number:int}/{log}", self.bootstrap_log),
        ]

    async def clusters(self, _: Request) -> Response:
        rows = [
            (
                *(_link(f"/clusters/{each.id}", each.id), _text(each.name), _state(each.state)),
                *(_time(each.created), _time(each.ended), _text(each.message)),
            )
            for each in sorted(self.emr.clusters.values(), key=lambda each: each.created, reverse=True)
        ]
        table = _table(("Cluster", "Name", "State", "Created (UTC)", "Ended", ""), rows)
        return _page("Local EMR", table if rows else "<p>No cluster yet.</p>")

    async def cluster(self, request: Request) -> Response:
        cluster = self._find(request)
        steps = [
            (
                *(_text(step.name), _state(step.state), _time(step.started), _time(step.ended)),
                *(_logs(f"{cluster.id}/steps/{step.id}"), f"<pre>{_text(step.failure.get('Message', ''))}</pre>"),
            )
            for step in reversed(cluster.steps)
        ]
        actions = [
            (_text(action["Name"]), _logs(f"{cluster.id}/bootstrap-actions/{n}"))
            for n, action in enumerate(cluster.request.get("BootstrapActions", ()), 1)
        ]
        tags = ", ".join(f"{_text(key)}={_text(value)}" for key, value in cluster.tags.items())
        body = (
            f"<p>{_text(cluster.id)}, {_text(cluster.request['ReleaseLabel'])}, {_state(cluster.state)} "
            f"{_text(cluster.message)}<br>{tags}</p>"
            + _table(("Step", "State", "Started (UTC)", "Ended", "Logs", ""), steps)
            + (_table(("Bootstrap action", "Logs"), actions) if actions else "")
            + f"<p>{_link(f'/clusters/{cluster.id}/spark-ui', 'Spark history')} {_link('/', 'All clusters')}</p>"
        )
        return _page(cluster.name, body)

    async def step_log(self, request: Request) -> Response:
        cluster = self._find(request)
        step = cluster.step(request.path_params["step"])
        if step is None:
            raise HTTPException(404, f"{cluster.id} has no step {request.path_params['step']}.")
        return self._log(f"{cluster.id}/steps/{step.id}", request.path_params["log"])

    async def bootstrap_log(self, request: Request) -> Response:
        cluster = self._find(request)
        number = request.path_params["number"]
        return self._log(f"{cluster.id}/bootstrap-actions/{number}", request.path_params["log"])

    async def spark_ui(self, request: Request) -> Response:
        self._find(request)
        try:
            port = await self.history.port()
        except RuntimeError as error:
            raise HTTPException(503, str(error)) from error
        return RedirectResponse(f"http://{request.url.hostname}:{port}/", 302)

    def _log(self, folder: str, name: str) -> Response:
        """Give a log as it is now, or its end."""
        if name not in NAMES:
            raise HTTPException(404, f"No log {name!r}, expected one of {', '.join(NAMES)}.")
        path = self.emr.house.store.clusters / folder / name
        if not path.exists():
            return PlainTextResponse("")  # not begun
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return PlainTextResponse(file.read().decode(errors="replace"))

    def _find(self, request: Request) -> Cluster:
        cluster_id = request.path_params["cluster"]
        if cluster_id not in self.emr.clusters:
            raise HTTPException(404, f"There is no cluster {cluster_id}.")
        return self.emr.clusters[cluster_id]


def _page(title: str, body: str) -> Response:
    return HTMLResponse(_PAGE.format(title=_text(title), body=body))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(each)}</th>" for each in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _link(address: str, text: str) -> str:
    return f'<a href="{_text(address)}">{_text(text)}</a>'


def _logs(folder: str) -> str:
    return " ".join(_link(f"/clusters/{folder}/{name}", name) for name in NAMES[:3])


def _state(state: str) -> str:
    return f'<span class="{state}">{state}</span>'


def _time(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds is not None else ""


def _text(text: str) -> str:
    return html.escape(text)
