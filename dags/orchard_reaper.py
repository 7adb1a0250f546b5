"""The reaper: gives back clusters of ours that no DAG run owns any more, whatever died."""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

DOC = """
### Gives back leaked clusters, every hour

A cluster outlives its run when the run timed out (Airflow then skips teardowns), or when a worker died in a bad moment.
This terminates the clusters tagged with this lake whose DAG run has ended or is gone; its log says which and why. A
cluster that was kept on purpose (*Keep the cluster when a step failed*) is left to its own idle time-out.
"""


@task
def give_back_leaked_clusters(ti: Any) -> list[str]:
    """Terminate the clusters whose DAG run has ended or is gone; return their ids."""
    from orchard.dag.reaper import reap

    return reap(lambda dag_id, run_id, states: ti.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=states))


with DAG(
    dag_id="orchard_reaper",
    description="Terminates clusters that outlived their DAG run.",
    doc_md=DOC,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    tags=["orchard", "emr"],
    default_args={
        "owner": "orchard",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=10),
    },
):
    give_back_leaked_clusters()
