"""Registers Orchard with Airflow: pages of reports and of Spark's UI, links of its operators, the guard of its API."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from orchard.dag.links import ClusterLink, LogsLink, ReportLink, SparkUiLink
from orchard.ui.guard import Guard


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """Serve Orchard's pages; every process of Airflow loads this file, and only the API server needs them."""
    from orchard.ui.pages import app

    await app(scope, receive, send)


class OrchardPlugin(AirflowPlugin):
    """Everything that Airflow is to know."""

    name = "orchard"
    operator_extra_links = [ClusterLink(), LogsLink(), SparkUiLink(), ReportLink()]  # noqa: RUF012 - as Airflow has it
    fastapi_apps = [{"app": pages, "url_prefix": "/orchard", "name": "Orchard"}]  # noqa: RUF012
    fastapi_root_middlewares = [{"middleware": Guard, "name": "Orchard's guard"}]  # noqa: RUF012
