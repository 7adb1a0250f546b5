"""Whatever is killed in the middle of a run and started again, the run goes on where it was."""

import signal

import pytest

from tests.e2e.house import DAILY, House, LakeUnderTest, labels, sample, wait_until

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)


def test_triggerer_and_scheduler(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    house.faults({"step": ".*", "do": "delay", "seconds": 15})
    run_id = lake.trigger()

    house.wait_for_task(run_id, "extract", "deferred")
    house.kill_service("triggerer", signal.SIGTERM)  # as in a deployment
    house.start_service("triggerer")

    house.wait_for_task(run_id, "reduce", "deferred")
    for service in ("triggerer", "scheduler"):
        house.kill_service(service)
        house.start_service(service)

    run = house.wait(run_id)
    lake.assert_done_once(run, PHOTOS)
    assert {run.tries[task] for task, state in run.states.items() if state != "skipped"} == {1}


def test_all_of_airflow_while_a_step_is_added(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    house.faults({"call": "AddJobFlowSteps", "do": "delay", "when": "after", "times": 1, "seconds": 600})
    run_id = lake.trigger()
    wait_until(lambda: [step for cluster in lake.clusters() for step in lake.steps(cluster["Id"])])
    house.kill_airflow()
    house.start_airflow()
    lake.assert_done_once(house.wait(run_id), PHOTOS)


def test_emr_while_a_step_runs(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    run_id = lake.trigger()
    wait_until(lambda: house.emr_runs("extract_embeddings"))
    house.kill_emr()
    assert house.client.run(DAILY, run_id)["state"] == "running"
    house.start_emr()
    run = house.wait(run_id)
    assert run.state == "success", run.states
    (cluster,) = lake.clusters()
    assert lake.steps(cluster["Id"]) == [("extract", "FAILED"), ("extract", "COMPLETED"), ("reduce", "COMPLETED")]
    assert "The local EMR was restarted while this step ran" in run.log("extract", 1)
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(PHOTOS)
