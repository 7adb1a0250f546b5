"""How many runs before are looked through for near twins: as many as a day can pay for."""

import pytest

from spark_jobs.tables.folds import EARLIER, RUNS, _newest


@pytest.mark.parametrize(
    ("photos", "expected"), [([], 0), ([20] * 5, 5), ([20] * 3650, RUNS), ([EARLIER, 5], 1), ([EARLIER - 1, 5, 5], 2)]
)
def test_the_newest_runs(photos: list[int], expected: int) -> None:
    others = {f"r{number}": count for number, count in enumerate(photos)}
    assert _newest(others) == [*others][:expected]
