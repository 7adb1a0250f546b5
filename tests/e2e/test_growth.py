"""Days of growth, by the real scheduler on real servers."""

from tests.e2e.house import LakeUnderTest, labels, sample


def test_two_days_a_day_with_nothing_and_the_first_day_again(lake: LakeUnderTest) -> None:
    apple, other = labels(2)
    lake.put(sample(apple, 0, 1, 2, 3) | sample(other, 0, 1, 2, 3))
    first = lake.run("day-1")
    assert first.state == "success", first.states
    assert lake.uris("coordinates") == sorted([*sample(apple, 0, 1, 2, 3), *sample(other, 0, 1, 2, 3)])
    (cluster,) = lake.clusters()
    assert cluster["Status"]["State"] == "TERMINATED"
    assert lake.steps(cluster["Id"]) == [("extract", "COMPLETED"), ("reduce", "COMPLETED")]
