"""Whatever is killed in the middle of a run and started again, the run goes on where it was."""

import signal
from contextlib import ExitStack

import pytest

from tests.e2e.house import DAILY, House, LakeUnderTest, labels, sample, wait_until

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)


def test_all_of_airflow_then_its_services(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    house.faults(
        {"call": "AddJobFlowSteps", "do": "delay", "when": "after", "times": 1, "seconds": 600},
        {"step": "reduce .*", "do": "delay", "seconds": 40},
    )
    run_id = lake.trigger()
    wait_until(lambda: [step for cluster in lake.clusters() for step in lake.steps(cluster["Id"])])
    house.kill_airflow()
    house.start_airflow()

    house.wait_for_task(run_id, "reduce", "deferred")
    told = len(house.airflow.news())
    for service, number in (
        ("triggerer", signal.SIGTERM),  # as in a deployment
        ("triggerer", signal.SIGKILL),
        ("scheduler", signal.SIGKILL),
    ):
        house.wait_for_service(service, house.kill_service(service, number))

    run = house.wait(run_id)
    lake.assert_done_once(run, PHOTOS)
    tries = {task: run.tries[task] for task, state in run.states.items() if state != "skipped"}
    assert tries == dict.fromkeys(tries, 1) | {"extract": 2}
    said = house.airflow.news()[told:]
    assert said[-1] == "Airflow's scheduler was ended by signal 9, and is started again."
    assert [line.split()[1] for line in said] == ["triggerer", "triggerer", "scheduler"]


def test_a_triggerer_that_was_only_silent(house: House, lake: LakeUnderTest) -> None:
    """Another one takes its tasks over; when it goes on, Airflow tells it to cancel their steps."""

    def holder() -> int | None:
        trigger = house.client.tasks(DAILY, run_id)["reduce"]["trigger"]
        return trigger and trigger["triggerer_id"]

    lake.put(PHOTOS)
    house.faults({"step": "reduce .*", "do": "delay", "seconds": 180})
    run_id = lake.trigger()
    house.wait_for_task(run_id, "reduce", "deferred")
    wait_until(holder)
    first = holder()
    with ExitStack() as second:
        with house.silent_service("triggerer"):
            second.enter_context(house.another_service("triggerer"))
            wait_until(lambda: holder() not in (None, first), 180)
        logs = house.airflow.home / "logs" / f"dag_id={DAILY}" / f"run_id={run_id}" / "task_id=reduce"
        wait_until(lambda: any("is let go on" in log.read_text() for log in logs.glob("*.trigger.*.log")))
        run = house.wait(run_id)
    lake.assert_done_once(run, PHOTOS)
    assert run.tries["reduce"] == 1


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
