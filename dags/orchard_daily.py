"""Orchard's daily pipeline: find the new photos, rent a cluster, embed, fold in, give the cluster back.

What each task does is in plugins/orchard; this file is the picture of how they follow one another.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, chain, task

from orchard.dag.lease import TakeLakeSensor
from orchard.dag.metrics import tell_of_failure
from orchard.dag.operators import CreateClusterOperator, ReportOperator, RunStepOperator, TerminateClusterOperator
from orchard.dag.schedule import daily_and_when_photos_come
from orchard.dag.sensors import ClusterEndedSensor, ClusterReadySensor
from orchard.form import form

# Other DAGs are triggered by new features: DAG(schedule=[Asset("orchard_coordinates")]).
EMBEDDINGS = Asset(name="orchard_embeddings", uri="orchard://lake/embeddings")
COORDINATES = Asset(name="orchard_coordinates", uri="orchard://lake/coordinates")
RECOGNISER = Asset(name="orchard_recogniser", uri="orchard://lake/recognisers")

DOC = """
### Orchard: photos into features, every day

Waits until no other run works on the lake, finds photos that were added, changed or deleted under the prefixes, rents
an EMR cluster of the right size, embeds the photos (`extract`), folds them into the exact PCA and the exact recogniser
of everything seen so far (`reduce`), gives the cluster back, checks that no photo is lost, and writes a report. Once a
week it maintains the tables (`maintain`).

* **When**: every day, and when photos have come, where `events_queue` (a setting) names a queue of the bucket's events.
* **Nothing new**: the run ends green after `anything_to_do`, and rents nothing.
* **By hand**: *Trigger* opens a form; empty fields mean "as the settings say" (the variable `orchard`).
* **What will it cost?** Trigger it with *Plan only*: the log of `find_new_photos` tells photos, cluster, minutes,
  dollars.
* **A run is red**: the log of the red task has the traceback. Clear the run's tasks to do it again: it does the same
  batch, and the tables end as if nothing had happened.
* **Leaked clusters** end themselves when idle, and `orchard_reaper` takes them every hour.
"""


@task(show_return_value_in_logs=False)
def find_new_photos(params: dict[str, Any], dag_run: Any) -> dict[str, Any]:
    """Compare the bucket with the lake, fix the run's batch, plan its cluster."""
    from orchard.dag.tasks import make_plan

    plan = make_plan(dag_run.dag_id, dag_run.run_id, params)
    print(plan.describe())
    return plan.to_dict()


@task.short_circuit
def anything_to_do(plan: dict[str, Any]) -> bool:
    """Stop here, green, when there is nothing to do or only the plan was asked for."""
    from orchard.plan import Plan

    return Plan.from_dict(plan).go


@task
def stage_code(plan: dict[str, Any]) -> dict[str, str]:
    """Put the jobs' code into the bucket."""
    from orchard.dag import tasks
    from orchard.plan import Plan

    return tasks.stage_code(Plan.from_dict(plan))


@task
def give_lake_back(lake: str | None, dag_run: Any) -> None:
    """Let the next run work on the lake, whatever became of this one."""
    from orchard.dag.lease import give_back

    give_back(lake, dag_run)


@task(outlets=[EMBEDDINGS, COORDINATES, RECOGNISER])
def check_run(plan: dict[str, Any]) -> dict[str, int]:
    """Fail if a photo is lost, or too many were rejected."""
    from orchard.dag import tasks
    from orchard.plan import Plan

    return tasks.check(Plan.from_dict(plan))


with DAG(
    dag_id="orchard_daily",
    description="New fruit photos become embeddings, an exact PCA and an exact recogniser.",
    doc_md=DOC,
    schedule=daily_and_when_photos_come(),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    on_failure_callback=tell_of_failure,
    params=form(),
    tags=["orchard", "emr"],
    default_args={
        "owner": "orchard",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(hours=1),
    },
):
    take_lake = TakeLakeSensor(
        task_id="take_lake",
        timeout=timedelta(hours=6),  # half of what the run has; whoever works until then finds this run's photos, too
        doc_md="Wait until no other run works on the lake, whoever started it. The log tells for whom, and how long.",
    )
    plan = find_new_photos()
    code = stage_code(plan)

    # SETUP
    create_cluster = CreateClusterOperator(
        task_id="create_cluster",
        plan=plan,
        doc_md="Rent the run's cluster, or take the one that this run has already.",
    )
    cluster = create_cluster.output
    cluster_ready = ClusterReadySensor(
        task_id="cluster_ready",
        job_flow_id=cluster,
        plan=plan,
        timeout=timedelta(hours=1),  # EMR takes minutes, and spot capacity SPOT_MINUTES more; a day has other chances
        doc_md="Wait until the cluster takes steps. Of one that ends before, the log tells why.",
    )
    # BODY
    extract = RunStepOperator(
        task_id="extract",
        step="extract",
        cluster_id=cluster,
        plan=plan,
        code=code,
        retries=1,
        doc_md="Embed the run's photos. The log tells what the step did, or has its traceback.",
    )
    reduce = RunStepOperator(
        task_id="reduce",
        step="reduce",
        cluster_id=cluster,
        plan=plan,
        code=code,
        retries=1,
        doc_md="Fold the embeddings into moments, basis, coordinates and recogniser of the whole lake.",
    )
    maintain = RunStepOperator(
        task_id="maintain",
        step="maintain",
        cluster_id=cluster,
        plan=plan,
        code=code,
        retries=1,
        doc_md="Weekly: small files of the tables together, old snapshots away. Skipped where it is not due.",
    )
    # TEARDOWN
    terminate_cluster = TerminateClusterOperator(
        task_id="terminate_cluster",
        cluster_id=cluster,
        plan=plan,
        doc_md="Give the cluster back, whatever happened; keep it only where the run says so and a step failed.",
    )
    cluster_ended = ClusterEndedSensor(
        task_id="cluster_ended",
        job_flow_id=cluster,
        plan=plan,
        timeout=timedelta(minutes=20),  # EMR takes one to five: nodes shut down, and the last logs go to S3
        doc_md="Wait until the cluster has ended. One that lives on makes the run red, and the log says how to end it.",
    )
    # Of both setups, so that what is cleared of a run that was done rents a cluster, waits for it and gives it back.
    for teardown in (terminate_cluster, cluster_ended):
        teardown.as_teardown(setups=[create_cluster, cluster_ready], on_failure_fail_dagrun=True)

    checked = check_run(plan)
    report = ReportOperator(
        task_id="report",
        plan=plan,
        cluster_id=cluster,
        step_ids={"extract": extract.output, "reduce": reduce.output},
        counts=checked,
        marks={"bootstrapping": cluster_ready.output, "terminating": terminate_cluster.output},
        doc_md="Write the run's row of `runs`, and its report: the button *Report* opens it.",
    )

    # A leaf, so that a maintenance that failed is seen as a red run; a teardown, which follows it, hides that.
    maintained = EmptyOperator(task_id="maintained", doc_md="Red where the maintenance failed; the features are there.")

    # Where any task of it is cleared, the run takes the lake once more.
    given_back = give_lake_back(take_lake.output)
    given_back.as_teardown(setups=take_lake)

    chain(take_lake, [plan, create_cluster])  # the second for where a step is cleared alone
    chain(anything_to_do(plan), code, create_cluster, cluster_ready, extract, reduce, [maintain, checked])
    chain(maintain, terminate_cluster, cluster_ended)
    chain(maintain, maintained)
    chain([cluster_ended, checked], report)
    chain([cluster_ended, report], given_back)  # after both: a report that cannot be written waits for nothing
