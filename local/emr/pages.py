"""Pages for people: clusters, their steps, and what these write while they run."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from local.emr import paging
from local.emr.drawing import link, moment, page, state, table, text
from local.emr.emr import Emr
from local.emr.errors import EmrError
from local.emr.history import History
from local.emr.logs import NAMES
from local.emr.state import Cluster

_TAIL = 2**20  # bytes of a log that a page shows
_ALL = link("/", "All clusters")


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

    async def clusters(self, request: Request) -> Response:
        """Show the newest, or those before a marker."""
        all_clusters = self.emr.clusters.values()
        marker = request.query_params.get("marker")
        try:
            found, more = paging.page((((-each.created, each.id), each) for each in all_clusters), marker)
        except EmrError as error:
            raise HTTPException(400, error.message) from error
        rows = [
            (
                *(link(f"/clusters/{each.id}", each.id), text(each.name), state(each.state)),
                *(moment(each.created), moment(each.ended), text(each.message)),
            )
            for each in found
        ]
        shown = table(("Cluster", "Name", "State", "Created (UTC)", "Ended", "Reason"), rows)
        ways = ([_ALL] if marker else []) + ([link(f"/?marker={more}", "Older clusters")] if more else [])
        live = not marker  # new ones may come
        return page("Local EMR", shown if rows else "<p>No cluster yet.</p>", ways, live)

    async def cluster(self, request: Request) -> Response:
        cluster = self._find(request)
        steps = [
            (
                *(text(step.name), state(step.state), moment(step.started), moment(step.ended)),
                *(_logs(f"{cluster.id}/steps/{step.id}"), _message(step.failure.get("Message"))),
            )
            for step in reversed(cluster.steps)
        ]
        actions = [
            (text(action["Name"]), _logs(f"{cluster.id}/bootstrap-actions/{n}"))
            for n, action in enumerate(cluster.request.get("BootstrapActions", ()), 1)
        ]
        tags = ", ".join(f"{text(key)}={text(value)}" for key, value in cluster.tags.items())
        body = (
            f"<p>{text(cluster.id)}, {text(cluster.request['ReleaseLabel'])}, {state(cluster.state)} "
            f"{text(cluster.message)}<br>{tags}</p>"
            + table(("Step", "State", "Started (UTC)", "Ended", "Logs", "Reason"), steps)
            + (table(("Bootstrap action", "Logs"), actions) if actions else "")
        )
        ways = (_ALL, link(f"/clusters/{cluster.id}/spark-ui", "Spark history"))
        return page(cluster.name, body, ways, cluster.ended is None)

    async def step_log(self, request: Request) -> Response:
        cluster = self._find(request)
        step = cluster.step(request.path_params["step"])
        if step is None:
            raise HTTPException(404, f"{cluster.id} has no step {request.path_params['step']}.")
        return self._log(request, cluster, f"{cluster.id}/steps/{step.id}", step.name)

    async def bootstrap_log(self, request: Request) -> Response:
        cluster = self._find(request)
        number = request.path_params["number"]
        return self._log(request, cluster, f"{cluster.id}/bootstrap-actions/{number}", f"Bootstrap action {number}")

    async def spark_ui(self, request: Request) -> Response:
        self._find(request)
        try:
            port = await self.history.port()
        except RuntimeError as error:
            raise HTTPException(503, str(error)) from error
        return RedirectResponse(f"http://{request.url.hostname}:{port}/", 302)

    def _log(self, request: Request, cluster: Cluster, folder: str, of: str) -> Response:
        """Give a log as it is now, or its end: to a browser as a page, to others the text alone."""
        name = request.path_params["log"]
        if name not in NAMES:
            raise HTTPException(404, f"No log {name!r}, expected one of {', '.join(NAMES)}.")
        path = self.emr.house.store.clusters / folder / name
        said = ""
        if path.exists():  # else not begun
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _TAIL))
                said = file.read().decode(errors="replace")
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(said)
        ways = (_ALL, link(f"/clusters/{cluster.id}", cluster.name), *_links(folder, NAMES))
        body = f"<pre>{text(said)}</pre>" if said else "<p>Nothing is written there.</p>"
        return page(f"{of}: {name}", body, ways, cluster.ended is None)

    def _find(self, request: Request) -> Cluster:
        cluster_id = request.path_params["cluster"]
        if cluster_id not in self.emr.clusters:
            raise HTTPException(404, f"There is no cluster {cluster_id}.")
        return self.emr.clusters[cluster_id]


def _message(message: str | None) -> str:
    return f"<pre>{text(message)}</pre>" if message else ""


def _logs(folder: str) -> str:
    return " ".join(_links(folder, NAMES[:3]))


def _links(folder: str, names: Sequence[str]) -> list[str]:
    return [link(f"/clusters/{folder}/{name}", name) for name in names]
