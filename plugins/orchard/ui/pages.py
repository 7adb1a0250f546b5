"""Pages that Airflow's API server shows for Orchard, to whoever may see the DAG: reports, and the way to Spark's UI."""

from html import escape
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from orchard import aws
from orchard.cluster import emr
from orchard.settings import read_settings

DAG_ID = "orchard_daily"
# The report holds no script; should a photo's name ever become one, it would not run.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_REFUSAL = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Orchard</title>
<style>html{{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}}body{{max-width:40em;margin:3em auto;
padding:0 1em;overflow-wrap:anywhere}}</style>
<h1>Nothing to show</h1>
<p>{why}</p>
<p><a href="../../dags/{dag_id}/runs">The runs of Orchard</a></p>
</html>
"""

app = FastAPI(title="Orchard", docs_url=None, redoc_url=None, openapi_url=None)


def may_see(user: GetUserDep) -> None:
    """Refuse who may not see the DAG; Airflow's own check takes a DAG's id from the page's address before 3.2."""
    if not get_auth_manager().is_authorized_dag(method="GET", details=DagDetails(id=DAG_ID), user=user):
        raise HTTPException(403, "Forbidden")


_MAY_SEE = [Depends(may_see)]


@app.exception_handler(HTTPException)
async def refuse(request: Request, error: HTTPException) -> Response:
    """Send a person who is not logged in to the log-in, and back; show others a page; tell programs what it is."""
    if "text/html" not in request.headers.get("accept", ""):
        return await http_exception_handler(request, error)
    if error.status_code == 401:
        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)))
    page = _REFUSAL.format(why=escape(error.detail), dag_id=DAG_ID)
    return HTMLResponse(page, error.status_code, {"Content-Security-Policy": _POLICY})


@app.get("/reports/{run_id}", dependencies=_MAY_SEE)
def report(run_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]+$")]) -> HTMLResponse:
    """Show a run's report from the bucket."""
    settings = read_settings()
    address = f"{settings.root}/reports/{run_id}.html"
    try:
        page = aws.read_object(aws.client("s3", settings.region), address)
    except FileNotFoundError:
        raise HTTPException(
            404,
            f"There is no report of run {run_id}: expected it at {address}. A run has one when its task report is "
            "done; one that was red before, found nothing to do or was to plan only has none.",
        ) from None
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


@app.get("/spark-ui/{cluster_id}", dependencies=_MAY_SEE)
def spark_ui(cluster_id: Annotated[str, Path(pattern=r"^j-[A-Z0-9]+$")]) -> RedirectResponse:
    """Go to Spark's history of a cluster; on AWS by an address that is signed for this click."""
    settings = read_settings()
    if settings.console:
        return RedirectResponse(f"{settings.console.rstrip('/')}/clusters/{cluster_id}/spark-ui")
    client = aws.client("emr", settings.region)
    made = client.create_persistent_app_ui(TargetResourceArn=emr.describe(client, cluster_id)["ClusterArn"])
    signed = client.get_persistent_app_ui_presigned_url(
        PersistentAppUIId=made["PersistentAppUIId"], PersistentAppUIType="SHS"
    )
    return RedirectResponse(signed["PresignedURL"])
