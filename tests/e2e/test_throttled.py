"""An account whose EMR is busy: three calls of ten are refused."""

import pytest

from tests.e2e.house import House, LakeUnderTest, labels, sample

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)


def test_no_task_notices(house: House, lake: LakeUnderTest) -> None:
    lake.put(PHOTOS)
    house.faults({"call": ".*", "do": "throttle", "share": 0.3})
    run = lake.run()
    house.faults()
    lake.assert_done_once(run, PHOTOS)
    assert {run.tries[task] for task, state in run.states.items() if state != "skipped"} == {1}
