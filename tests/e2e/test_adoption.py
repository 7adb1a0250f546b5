"""A call to EMR whose answer never came: the retry takes what the call left, and makes no second one."""

import pytest

from tests.e2e.house import House, LakeUnderTest, labels, sample

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
