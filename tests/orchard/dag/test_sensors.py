"""A cluster's beginning and end, on an EMR that really has them: what a task waits for, and what it says."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import TriggerDagRun

from orchard.cluster.request import DAG_TAG, LAKE_TAG, RUN_TAG
from orchard.dag import again, operators, sensors
from orchard.dag.operators import TerminateClusterOperator
from orchard.dag.sensors import ClusterEndedSensor, ClusterReadySensor
from tests.conftest import Aws
from tests.local.emr.servers import LocalEmr, shell, until
from tests.plans import PLAN, plan, settings

RUN = SimpleNamespace(dag_id="orchard_daily", run_id="r1", start_date=datetime(2026, 1, 1, tzinfo=UTC))
CONTEXT = {"ti": SimpleNamespace(xcom_push=lambda **_: None), "dag_run": RUN}


@pytest.fixture
def emr(local_emr: LocalEmr, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEmr]:
    """Make the tasks' EMR the one of this machine; no cluster outlives the test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", local_emr.url)
    for module in (sensors, operators):
        monkeypatch.setattr(module, "read_settings", lambda: settings(poll_seconds=0.05, log_seconds=0.0))
    before = set(clusters(local_emr))
    yield local_emr
    for cluster in set(clusters(local_emr)) - before:
        local_emr.emr.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=False)
        local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])


def clusters(emr: LocalEmr) -> list[str]:
    alive = emr.emr.list_clusters(ClusterStates=["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"])["Clusters"]
    return [one["Id"] for one in alive]


def bootstrapped(emr: LocalEmr, bucket: str, script: str) -> str:
    """Rent a cluster that runs a script before it is ready; give its id."""
    emr.aws.client("s3").put_object(Bucket=bucket, Key="install.sh", Body=script.encode())
    action = {"Name": "orchard", "ScriptBootstrapAction": {"Path": f"s3://{bucket}/install.sh", "Args": []}}
    return emr.run(BootstrapActions=[action], LogUri=f"s3://{bucket}/lake/logs/")


def sensor(kind: type[Any], cluster: str | None, seconds: float = 60, **planned: Any) -> Any:
    return kind(task_id="one", job_flow_id=cluster, plan=plan(**planned).to_dict(), timeout=seconds)


def deferred(task: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        task.execute(CONTEXT)
    return raised.value


def resume(task: Any, what: TaskDeferred) -> Any:
    """Run the trigger, as it comes to the triggerer, and then the task's rest."""

    async def end() -> Any:
        (event,) = [event.payload async for event in type(what.trigger)(**what.trigger.serialize()[1]).run()]
        return event

    return task.resume_execution(what.method_name, {"event": asyncio.run(end())}, CONTEXT)


@contextmanager
def failing() -> Iterator[list[str]]:
    """Give what a task says that fails and is not tried again."""
    said: list[str] = []
    with pytest.raises(AirflowFailException) as raised:
        yield said
    said.append(str(raised.value))


def test_ready_and_ended(emr: LocalEmr, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole life of a cluster: waited for, worked on, given back, waited for."""
    go = tmp_path / "go"
    cluster = bootstrapped(emr, bucket, f"until [ -e {go} ]; do sleep 0.1; done\n")
    ready = sensor(ClusterReadySensor, cluster)
    waits = deferred(ready)
    go.touch()
    resume(ready, waits)
    assert emr.state(cluster) == "WAITING"
    emr.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[shell("works", "sleep 60")])
    emr.until_state(cluster, "RUNNING")
    assert sensor(ClusterReadySensor, cluster).execute(CONTEXT) is None  # of a run that was cleared

    ended = sensor(ClusterEndedSensor, cluster)
    waits = deferred(ended)
    began = time.time()
    told = terminate(cluster)
    assert began <= told <= time.time()
    resume(ended, waits)
    assert emr.state(cluster) == "TERMINATED"
    assert sensor(ClusterEndedSensor, cluster).execute(CONTEXT) is None
    assert terminate(cluster) is None  # it has been told before

    with failing() as said:  # cleared alone, when all is over
        sensor(ClusterReadySensor, cluster).execute(CONTEXT)
    why = "(USER_REQUEST: Terminated by user request). Clear the run's tasks to do it again."
    assert said == [f"Cluster {cluster} is TERMINATED {why}"]

    # Only what had failed of the run was cleared, after its cluster had ended: all of it is done again.
    asked: list[Any] = []
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=asked.append), raising=False)
    monkeypatch.setattr(again, "_SECONDS", 0.0)  # Airflow ends the task; here it goes on, and fails
    cleared = SimpleNamespace(dag_id="orchard_daily", run_id="r1", start_date=datetime.now(UTC))
    with failing():
        sensor(ClusterReadySensor, cluster).execute(CONTEXT | {"dag_run": cleared})
    (clear,) = (one for one in asked if isinstance(one, TriggerDagRun))  # connections are asked for, too
    assert (clear.dag_id, clear.run_id, clear.reset_dag_run) == ("orchard_daily", "r1", True)


def test_create_cluster_marked_as_success(emr: LocalEmr) -> None:
    """By hand, before it ran: said once by what needs a cluster, and what gives it back is content."""
    with failing() as said:
        sensor(ClusterReadySensor, None).execute(CONTEXT)
    missing = "There is no cluster: create_cluster is marked as success, and has left none. "
    assert said == [f"{missing}Clear create_cluster, with Downstream."]
    assert terminate(None) is None
    assert sensor(ClusterEndedSensor, None).execute(CONTEXT) is None

    # While it ran, and had rented one: that one is given back.
    tags = {LAKE_TAG: PLAN.lake, DAG_TAG: PLAN.dag_id, RUN_TAG: PLAN.dag_run_id}
    more = {"Name": "orchard r1", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    cluster = emr.run(**more)
    assert terminate(None) is not None
    until(lambda: emr.state(cluster) == "TERMINATED")


def terminate(cluster: str | None, **planned: Any) -> Any:
    task = TerminateClusterOperator(task_id="two", cluster_id=cluster, plan=plan(**planned).to_dict())
    return task.execute(CONTEXT)


def test_a_bootstrap_action_that_fails(emr: LocalEmr, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """EMR's reason, and the end of what the action wrote."""
    cluster = bootstrapped(emr, bucket, "seq 100; echo no wheel of numpy fits >&2; exit 3\n")
    until(lambda: emr.state(cluster).startswith("TERMINAT"))
    with failing() as said:
        sensor(ClusterReadySensor, cluster).execute(CONTEXT)
    (node,) = emr.emr.list_instances(ClusterId=cluster)["Instances"]
    where = f"On the master instance ({node['Ec2InstanceId']}), bootstrap action 1"
    assert said[0].startswith(f"Cluster {cluster} is TERMINAT")  # ING, or ED_WITH_ERRORS by now
    assert said[0].endswith(
        f" (BOOTSTRAP_FAILURE: {where} returned a non-zero return code), and was never ready. "
        "Clear the run's tasks to do it again."
    )
    log, folder = capsys.readouterr().out, f"s3://{bucket}/lake/logs/{cluster}/node/{node['Ec2InstanceId']}"
    assert f"The last lines of {folder}/bootstrap-actions/1/stdout.gz:\n61\n62\n" in log
    assert f"The last lines of {folder}/bootstrap-actions/1/stderr.gz:\nno wheel of numpy fits" in log
    until(lambda: emr.state(cluster) == "TERMINATED_WITH_ERRORS")
    assert sensor(ClusterEndedSensor, cluster).execute(CONTEXT) is None  # ended is ended


def test_ended_before_it_was_ready(emr: LocalEmr, bucket: str) -> None:
    cluster = bootstrapped(emr, bucket, "sleep 60\n")
    ready = sensor(ClusterReadySensor, cluster)
    waits = deferred(ready)
    emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    with failing() as said:
        resume(ready, waits)
    assert said[0].endswith(
        " (USER_REQUEST: Terminated by user request), and was never ready. Clear the run's tasks to do it again."
    )


def test_not_ready_in_time(emr: LocalEmr, bucket: str) -> None:
    cluster = bootstrapped(emr, bucket, "sleep 60\n")
    emr.until_state(cluster, "BOOTSTRAPPING")
    ready = sensor(ClusterReadySensor, cluster, seconds=0.3)
    with failing() as said:
        resume(ready, deferred(ready))
    assert said == [
        f"Cluster {cluster} is BOOTSTRAPPING after 0.005 minutes: it is given back. "
        "EMR on EC2 takes five to seven; clear the run's tasks to do it again."
    ]


def test_alive_after_its_time(emr: LocalEmr) -> None:
    cluster = emr.run()
    emr.until_state(cluster, "WAITING")
    ended = sensor(ClusterEndedSensor, cluster, seconds=0.3)
    with failing() as said:
        resume(ended, deferred(ended))
    assert said == [
        f"Cluster {cluster} is WAITING after 0.005 minutes, and costs money. End it, and clear this task:\n"
        f"  aws --endpoint-url {emr.url} emr terminate-clusters --region eu-west-1 --cluster-ids {cluster}"
    ]


def test_protected_from_termination(emr: LocalEmr) -> None:
    """Neither task waits, nor is tried again; and when the commands were given, both are content."""
    cluster = emr.run(More={"TerminationProtected": True})
    emr.until_state(cluster, "WAITING")
    with failing() as of_terminate:
        terminate(cluster)
    with failing() as of_ended:
        sensor(ClusterEndedSensor, cluster).execute(CONTEXT)
    assert of_terminate == of_ended
    assert of_ended == [
        f"Cluster {cluster} is WAITING and protected from termination: somebody wants it to stay, and it costs money. "
        "End it if it is not wanted, then clear the task:\n"
        f"  aws --endpoint-url {emr.url} emr modify-cluster-attributes --region eu-west-1 --cluster-id {cluster} "
        "--no-termination-protected\n"
        f"  aws --endpoint-url {emr.url} emr terminate-clusters --region eu-west-1 --cluster-ids {cluster}"
    ]
    emr.emr.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=False)
    assert terminate(cluster) is not None
    until(lambda: emr.state(cluster) == "TERMINATED")
    assert sensor(ClusterEndedSensor, cluster).execute(CONTEXT) is None


@pytest.mark.parametrize("state", ["FAILED", "COMPLETED"])
def test_kept_on_purpose_only_where_a_step_failed(state: str, emr: LocalEmr) -> None:
    cluster = emr.run(shell("works", "exit 1" if state == "FAILED" else "true"))
    emr.until_steps(cluster, [state])
    kept = state == "FAILED"
    assert (terminate(cluster, keep_cluster=True) is None) == kept
    until(lambda: emr.state(cluster) == ("WAITING" if kept else "TERMINATED"))
    assert sensor(ClusterEndedSensor, cluster, keep_cluster=True).execute(CONTEXT) is None
