"""A call to EMR whose answer never came: the retry takes what the call left, and makes no second one."""

import pytest

from tests.e2e.house import House, LakeUnderTest, labels, sample, wait_until

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)


def test_the_connection_breaks_before_the_answer(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    house.faults(
        {"call": "RunJobFlow", "do": "drop", "when": "after", "times": 1},
        {"call": "AddJobFlowSteps", "do": "drop", "when": "after", "times": 1},
        {"call": "AddJobFlowSteps", "do": "error", "when": "after", "times": 1},
    )
    run = lake.run()
    lake.assert_done_once(run, PHOTOS)
    assert "Connection was closed before we received a valid response" in run.log("create_cluster", 1)
    (cluster,) = lake.clusters()
    assert f"Cluster {cluster['Id']} is this run's already" in run.log("create_cluster", 2)
    for step in ("extract", "reduce"):
        assert "is there already, and" in run.log(step, 2)


def test_the_worker_is_killed_before_the_answer(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    house.faults(
        {"call": "RunJobFlow", "do": "delay", "when": "after", "times": 1, "seconds": 600},
        {"call": "AddJobFlowSteps", "do": "delay", "when": "after", "times": 1, "seconds": 600},
    )
    run_id = lake.trigger()
    wait_until(lake.clusters)
    house.kill_worker(run_id, "create_cluster")
    wait_until(lambda: lake.steps(lake.clusters()[0]["Id"]))
    house.kill_worker(run_id, "extract")
    run = house.wait(run_id)
    lake.assert_done_once(run, PHOTOS)
    assert "is this run's already" in run.log("create_cluster", 2)
    assert "is there already, and" in run.log("extract", 2)
