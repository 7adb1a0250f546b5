"""Runs that are stopped from outside: none leaves a step or a cluster behind."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from local.principals import NODE, SERVICE
from orchard.cluster.request import DAG_TAG, LAKE_TAG, RUN_TAG
from tests.e2e.house import DAILY, REAPER, House, LakeUnderTest, Run, labels, sample, tags, wait_until

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)
HASTY = "orchard_hasty"


def write_hasty(folder: Path, timeout: timedelta) -> Path:
    """Write a copy of the daily DAG, with another dagrun_timeout; return its file."""
    text = (folder / "orchard_daily.py").read_text()
    for old, new in (
        ('dag_id="orchard_daily"', f'dag_id="{HASTY}"'),
        ("dagrun_timeout=timedelta(hours=12)", f"dagrun_timeout=timedelta(seconds={timeout.total_seconds()})"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / f"{HASTY}.py"
    path.write_text(text)
    return path


def test_timed_out_and_marked_failed(house: House, lake: LakeUnderTest) -> None:
    """Airflow skips the teardowns of a run that timed out, and the reaper takes its cluster and no other."""
    lake.put(PHOTOS)
    house.faults({"step": ".*", "do": "delay", "seconds": 600})
    write_hasty(house.airflow.dags, timedelta(hours=1))
    house.client.wait_for_dag(HASTY)
    hasty = lake.trigger(dag_id=HASTY)
    house.wait_for_task(hasty, "extract", "deferred", HASTY)
    daily = lake.trigger()
    house.wait_for_task(daily, "take_lake", "deferred")
    house.aws("s3").delete_object(Bucket=lake.bucket, Key="lake/lease.json")  # as an operator breaks a lease
    house.wait_for_task(daily, "extract", "deferred")
    owned = {tags(one)[DAG_TAG]: one["Id"] for one in lake.clusters()}
    foreign = [
        rent(house, "somebody's"),
        rent(house, "orchard another", **{LAKE_TAG: "s3://another/lake", DAG_TAG: DAILY, RUN_TAG: "gone"}),
    ]

    file = write_hasty(house.airflow.dags, timedelta(seconds=1))

    def has_timed_out() -> bool:
        file.touch()  # Airflow misses a change that comes while it parses
        return bool(house.client.run(HASTY, hasty)["state"] == "failed")

    wait_until(has_timed_out)
    run = Run(house, HASTY, hasty)
    assert run.states | dict.fromkeys(("terminate_cluster", "cluster_ended"), "skipped") == run.states
    wait_until(lambda: lake.steps(owned[HASTY]) == [("extract", "CANCELLED")])
    assert house.cluster_state(owned[HASTY]) == "WAITING"

    reaper = house.wait(lake.trigger(dag_id=REAPER), REAPER)
    assert reaper.state == "success"
    log = reaper.log("give_back_leaked_clusters")
    assert f"{owned[HASTY]} (WAITING) of run {hasty} of {HASTY}: the run has ended, so it is terminated." in log
    assert f"{owned[DAILY]} (RUNNING) of run {daily} of {DAILY}: the run goes on." in log
    wait_until(lambda: house.cluster_state(owned[HASTY]) == "TERMINATED")
    assert [house.cluster_state(one) for one in foreign] == ["WAITING", "WAITING"]
    house.aws("emr").terminate_job_flows(JobFlowIds=foreign)
    assert lake.steps(owned[DAILY]) == [("extract", "RUNNING")]

    path = f"/dags/{DAILY}/dagRuns/{daily}/taskInstances/extract"
    house.client.call("PATCH", path, json={"new_state": "failed"})
    run = house.wait(daily)
    assert run.state == "failed"
    expected = {"extract": "failed", "reduce": "upstream_failed"}
    assert run.states | expected | dict.fromkeys(("terminate_cluster", "cluster_ended"), "success") == run.states
    # Its task's end cancels the step, the reaper takes the cluster from under it: whichever comes first.
    assert lake.steps(owned[DAILY]) in ([("extract", "CANCELLED")], [("extract", "INTERRUPTED")])
    assert house.cluster_state(owned[DAILY]) == "TERMINATED"
    assert len(lake.clusters()) == 2


def rent(house: House, name: str, **tagged: str) -> str:
    """Rent a cluster that is not ours; return its id."""
    answer = house.aws("emr").run_job_flow(
        Name=name,
        ReleaseLabel="emr-7.14.0",
        Applications=[{"Name": "Spark"}],
        Instances={"InstanceCount": 1, "MasterInstanceType": "m5.xlarge", "KeepJobFlowAliveWhenNoSteps": True},
        JobFlowRole=NODE,
        ServiceRole=SERVICE,
        Tags=[{"Key": key, "Value": value} for key, value in tagged.items()],
    )
    return str(answer["JobFlowId"])


def test_clusters_that_do_not_last(house: House, lake: LakeUnderTest) -> None:
    """One run, cleared again and again: a cluster that does not come, is given up, is terminated; a step that runs."""
    lake.put(PHOTOS)
    lake.configure(log_seconds=3600, bootstrap=f"s3://{lake.bucket}/lake/bootstrap/one")
    on_nodes(lake, "echo no wheel of numpy fits >&2; exit 1")
    run = lake.run()
    assert run.state == "failed"
    expected = {"create_cluster": "success", "cluster_ready": "failed", "extract": "upstream_failed"}
    expected |= {"terminate_cluster": "success", "cluster_ended": "success", "report": "upstream_failed"}
    assert run.states | expected == run.states
    assert run.tries["cluster_ready"] == 1
    log = run.log("cluster_ready")
    assert "BOOTSTRAP_FAILURE" in log and "and was never ready. Clear the run's tasks to do it again." in log
    assert "bootstrap-actions/1/stderr.gz:\nno wheel of numpy fits" in log

    run_id = run.run_id
    on_nodes(lake, "sleep 600")
    run.clear()
    house.wait_for_task(run_id, "cluster_ready", "deferred")
    house.client.call("PATCH", f"/dags/{DAILY}/dagRuns/{run_id}", json={"state": "failed"})
    run = house.wait(run_id)
    # The run's own state is not looked at: Airflow takes it from the leaves, which it skipped.
    expected |= dict.fromkeys(("extract", "report"), "skipped")
    assert run.states | expected == run.states
    assert [one["Status"]["State"] for one in lake.clusters()] == ["TERMINATED_WITH_ERRORS", "TERMINATED"]

    on_nodes(lake, "true")
    house.faults({"step": "extract .*", "do": "delay", "seconds": 600, "times": 1})
    run.clear()
    house.wait_for_task(run_id, "extract", "deferred")
    # Airflow takes a task that goes on before its scheduler has heard that it was deferred for one that died.
    heard = f"Received executor event with state success for task instance TaskInstanceKey(dag_id='{DAILY}', task_id="
    heard += f"'extract', run_id='{run_id}'"
    wait_until(lambda: heard in house.airflow.log_file.read_text())
    cluster = lake.clusters()[-1]
    house.aws("emr").terminate_job_flows(JobFlowIds=[cluster["Id"]])
    run = house.wait(run_id)
    assert run.state == "failed"
    assert run.tries["extract"] == 1, run.log("extract", 1)
    log = run.log("extract")
    assert re.search(rf"Cluster {cluster['Id']} is TERMINAT(ING|ED) \(USER_REQUEST: Terminated by user request\)", log)
    assert "Clear the run's tasks to do it again." in log
    assert lake.steps(cluster["Id"]) == [("extract", "INTERRUPTED")]

    house.faults({"step": "extract .*", "do": "delay", "seconds": 600, "times": 1})
    run.clear(only_failed=True)  # no cluster is rented for these alone: extract has all of the run done again
    house.wait_for_task(run_id, "extract", "deferred")
    run.clear(task_ids=["extract"])  # while its step runs, which is cancelled then
    run = house.wait(run_id)
    assert run.state == "success", run.told()
    assert len(lake.clusters()) == 4
    *_, last = lake.clusters()
    assert lake.steps(last["Id"]) == [("extract", "CANCELLED"), ("extract", "COMPLETED"), ("reduce", "COMPLETED")]
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(PHOTOS)


def on_nodes(lake: LakeUnderTest, script: str) -> None:
    """Set what nodes run before they are ready."""
    s3 = lake.house.aws("s3")
    s3.put_object(Bucket=lake.bucket, Key="lake/bootstrap/one/install.sh", Body=f"{script}\n".encode())
