"""Links: where a person goes from a task: the cluster, its logs, Spark's UI, the run's report."""

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

from orchard.settings import Settings


class _Link(BaseOperatorLink):
    def show(self, context: Any, url: str) -> None:
        """Show the link at once, not only when the task has ended."""
        context["ti"].xcom_push(key=self.xcom_key, value=url)

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""


class ClusterLink(_Link):
    """The cluster's page."""

    name = "Cluster"


class LogsLink(_Link):
    """The folder of the cluster's logs."""

    name = "Logs"


class SparkUiLink(_Link):
    """Spark's UI or history of the cluster."""

    name = "Spark UI"


class ReportLink(_Link):
    """The run's report."""

    name = "Report"


CLUSTER_LINKS = (ClusterLink(), LogsLink(), SparkUiLink())


def show_cluster(context: Any, settings: Settings, cluster_id: str) -> None:
    """Show the three links of a cluster."""
    ClusterLink().show(context, cluster_url(settings, cluster_id))
    LogsLink().show(context, logs_url(settings, cluster_id))
    SparkUiLink().show(context, airflow_url(f"/orchard/spark-ui/{quote(cluster_id)}"))


def cluster_url(settings: Settings, cluster_id: str) -> str:
    """Return the address of a cluster's page."""
    if settings.console:
        return f"{settings.console.rstrip('/')}/clusters/{cluster_id}"
    region = settings.region
    return f"https://{region}.console.aws.amazon.com/emr/home?region={region}#/clusterDetails/{cluster_id}"


def logs_url(settings: Settings, cluster_id: str) -> str:
    """Return where a cluster's logs can be looked through."""
    if settings.console:
        return cluster_url(settings, cluster_id)
    bucket, _, prefix = settings.root.removeprefix("s3://").partition("/")
    folder = quote(f"{prefix}/logs/{cluster_id}/".lstrip("/"))
    return (
        f"https://{settings.region}.console.aws.amazon.com/s3/buckets/{bucket}?region={settings.region}&prefix={folder}"
    )


def airflow_url(path: str) -> str:
    """Return the address of a page of this Airflow."""
    from airflow.configuration import conf

    return conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/") + path


def run_url(dag_id: str, dag_run_id: str) -> str:
    """Return the address of a run's page in Airflow."""
    return airflow_url(f"/dags/{quote(dag_id)}/runs/{quote(dag_run_id, safe='')}")
