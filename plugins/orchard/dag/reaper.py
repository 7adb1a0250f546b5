"""Reaper: which clusters nobody owns any more, and giving them back."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import AirflowFailException

from orchard import aws
from orchard.cluster import emr
from orchard.cluster.request import DAG_TAG, KEEP_TAG, RUN_TAG
from orchard.dag import metrics
from orchard.settings import read_settings

_LOG = logging.getLogger("orchard")
GOING = ("queued", "running")

CountRuns = Callable[[str, str, Sequence[str] | None], int]


def reap(count_runs: CountRuns) -> list[str]:
    """Terminate the live clusters of this lake whose DAG run has ended or is gone; put how old the oldest was.

    Parameters
    ----------
    count_runs : callable
        Given dag_id, run_id and states (None: any), how many DAG runs there are.

    Returns
    -------
    list of str
        Their ids.

    Raises
    ------
    AirflowFailException
        Some are protected from termination; the others are terminated.
    """
    settings = read_settings()
    client = aws.client("emr", settings.region)
    reaped, ages, stay = [], [0.0], []
    for cluster in emr.live_clusters(client, settings.root):
        ages.append((datetime.now(UTC) - cluster["Status"]["Timeline"]["CreationDateTime"]).total_seconds())
        dag_id, run_id = cluster["Tags"].get(DAG_TAG, ""), cluster["Tags"].get(RUN_TAG, "")
        what = f"Cluster {cluster['Id']} ({cluster['Status']['State']}) of run {run_id} of {dag_id}"
        if count_runs(dag_id, run_id, GOING):
            _LOG.info("%s: the run goes on.", what)
        elif KEEP_TAG in cluster["Tags"] and emr.last_step_failed(client, cluster["Id"]):
            _LOG.info("%s: kept on purpose, until it was idle for long enough.", what)
        else:
            why = "the run has ended" if count_runs(dag_id, run_id, None) else "there is no such run any more"
            if protected := emr.protected(cluster, client):
                _LOG.error("%s: %s. %s", what, why, protected)
                stay.append(protected)
                continue
            _LOG.warning("%s: %s, so it is terminated.", what, why)
            client.terminate_job_flows(JobFlowIds=[cluster["Id"]])
            reaped.append(cluster["Id"])
    if not reaped and not stay:
        _LOG.info("No cluster of %s is without an owner.", settings.root)
    metrics.put(settings, metrics.CLUSTER_HOURS, max(ages) / 3600)
    if stay:
        raise AirflowFailException("\n".join(stay))
    return reaped
