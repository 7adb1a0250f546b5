"""Whatever is killed in the middle of a run and started again, the run goes on where it was."""

import signal

import pytest

from tests.e2e.house import DAILY, House, LakeUnderTest, labels, sample, wait_until

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)


def test_workers_all_of_airflow_and_its_services(house: House, lake: LakeUnderTest) -> None:
    """One run, of which everything dies once; and a triggerer that was only silent, whose tasks another took over."""

    def steps() -> list[tuple[str, str]]:
        return [step for cluster in lake.clusters() for step in lake.steps(cluster["Id"])]

    def holder() -> int | None:
        trigger = house.client.tasks(DAILY, run_id)["reduce"]["trigger"]
        return trigger and trigger["triggerer_id"]

    def triggers_say(words: str) -> bool:
        logs = house.airflow.home / "logs" / f"dag_id={DAILY}" / f"run_id={run_id}" / "task_id=reduce"
        return any(words in log.read_text() for log in logs.glob("*.trigger.*.log"))

    # Calls whose answer does not come before what waits for it is dead.
    lake.put(PHOTOS)
    house.faults(
        {"call": "RunJobFlow", "do": "delay", "when": "after", "times": 1, "seconds": 600},
        {"call": "AddJobFlowSteps", "do": "delay", "when": "after", "times": 2, "seconds": 600},
        {"step": "reduce .*", "do": "delay", "seconds": 600},
    )
    run_id = lake.trigger()
    wait_until(lake.clusters)
    house.kill_worker(run_id, "create_cluster")
    wait_until(steps)
    house.kill_airflow()
    house.start_airflow()
    wait_until(lambda: len(steps()) == 2)
    house.kill_worker(run_id, "reduce")
    house.wait_for_task(run_id, "reduce", "deferred")
    told = len(house.airflow.news())

    # When the silent one goes on, Airflow tells it to cancel the steps of the tasks that it lost.
    wait_until(lambda: triggers_say("is RUNNING, its cluster"))
    first = holder()
    with house.another_service("triggerer"):
        with house.silent_service("triggerer"):
            wait_until(lambda: holder() not in (None, first))
        wait_until(lambda: triggers_say("is let go on"))
    wait_until(lambda: holder() == first)

    for service, number in (
        ("triggerer", signal.SIGTERM),  # as in a deployment
        ("triggerer", signal.SIGKILL),
        ("scheduler", signal.SIGKILL),
    ):
        held = holder()
        house.wait_for_service(service, house.kill_service(service, number))
        wait_until(lambda: service != "triggerer" or holder() not in (None, held))  # noqa: B023  # it is over by then
    assert steps() == [("extract", "COMPLETED"), ("reduce", "RUNNING")]

    house.faults()
    run = house.wait(run_id)
    lake.assert_done_once(run, PHOTOS)
    tries = {task: run.tries[task] for task, state in run.states.items() if state != "skipped"}
    assert tries == dict.fromkeys(tries, 1) | {"create_cluster": 2, "extract": 2, "reduce": 2}
    assert "is this run's already" in run.log("create_cluster", 2)
    for step in ("extract", "reduce"):
        assert "is there already, and" in run.log(step, 2)
    said = house.airflow.news()[told:]
    assert said[-1] == "Airflow's scheduler was ended by signal 9, and is started again."
    assert [line.split()[1] for line in said] == ["triggerer", "triggerer", "scheduler"]


def test_emr_while_a_step_runs(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    run_id = lake.trigger()
    wait_until(lambda: house.emr_runs("extract_embeddings"))
    house.kill_emr()
    assert house.client.run(DAILY, run_id)["state"] == "running"
    house.start_emr()
    run = house.wait(run_id)
    assert run.state == "success", run.told()
    (cluster,) = lake.clusters()
    assert lake.steps(cluster["Id"]) == [("extract", "FAILED"), ("extract", "COMPLETED"), ("reduce", "COMPLETED")]
    assert "The local EMR was restarted while this step ran" in run.log("extract", 1)
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(PHOTOS)
