from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchard.cluster.sizing import Size, bill, size
from orchard.instances import INSTANCES
from orchard.prices import price_list
from tests.plans import settings

photos = st.integers(0, 10**8)
rates = st.lists(st.floats(0.1, 1000), max_size=5)
limits = st.fixed_dictionaries(
    {
        "min_core_nodes": st.integers(1, 5),
        "max_core_nodes": st.integers(5, 50),
        "target_minutes": st.floats(1, 600),
        "rate": st.floats(0.1, 1000),
        "instance_type": st.sampled_from(sorted(INSTANCES)),
    }
)


def test_in_figures() -> None:
    # 30 minutes less 6 to start and 1.5 of the steps leave 1,350 s; 4 vCPUs do 200 photos a second.
    assert size(settings(), 100, []) == Size(
        "m5.xlarge", 1, 4, 50.0, 450.5, pytest.approx(2 * 0.272126 * 450.5 / 3600, 1e-4)
    )
    assert size(settings(), 270_000, []).core_nodes == 1
    assert size(settings(), 270_001, []).core_nodes == 2
    assert size(settings(), 1_000_000, []) == Size(
        "m5.xlarge", 4, 16, 50.0, 450 + 1250, pytest.approx(5 * 0.272126 * 1700 / 3600, 1e-4)
    )
    assert size(settings(), 10**9, []).core_nodes == 10  # the settings' most
    assert size(settings(), 10**9, [], core_nodes=12).core_nodes == 12  # what the run was told
    assert size(settings(), 0, [], core_nodes=3).core_nodes == 3
    assert size(settings(rate=5e-324), 10**9, []).core_nodes == 10  # more would be wanted than can be counted


def test_measured_rates_come_before_the_settings() -> None:
    """By their median: one slow day does not double the bill."""
    assert size(settings(), 1_000_000, [100.0, 90.0, 1.0]).rate == 90.0
    assert size(settings(), 1_000_000, [100.0, 90.0, 1.0]).core_nodes == 3
    assert size(settings(), 1_000_000, [60.0, 40.0]).rate == 50.0


@given(photos, photos, rates, limits)
def test_more_photos_are_never_done_by_fewer_nodes(
    one: int, other: int, measured: list[float], given: dict[str, Any]
) -> None:
    small, large = (size(settings(**given), count, measured) for count in sorted((one, other)))
    assert small.core_nodes <= large.core_nodes


@given(photos, rates, limits)
def test_within_the_settings_and_in_time_unless_they_forbid_it(
    count: int, measured: list[float], given: dict[str, Any]
) -> None:
    chosen = size(settings(**given), count, measured)
    assert given["min_core_nodes"] <= chosen.core_nodes <= given["max_core_nodes"]
    assert chosen.vcpus == chosen.core_nodes * INSTANCES[given["instance_type"]].vcpus
    fixed = 360 + 90
    # A target below what a cluster takes by itself leaves a minute for the photos.
    target = max(60 * given["target_minutes"], fixed + 60)
    if chosen.core_nodes < given["max_core_nodes"]:
        assert chosen.seconds <= target * (1 + 1e-9)
    if chosen.core_nodes > given["min_core_nodes"]:  # and not one node more than that takes
        fewer = size(settings(**given), count, measured, core_nodes=chosen.core_nodes - 1)
        assert fewer.seconds > target * (1 - 1e-9)


@given(photos, rates, limits, st.integers(1, 100))
def test_a_run_may_say_how_many(count: int, measured: list[float], given: dict[str, Any], nodes: int) -> None:
    assert size(settings(**given), count, measured, nodes).core_nodes == nodes


def test_of_several_types_the_dearest_is_reckoned_with() -> None:
    hour, twice = (each + 84 * 0.088 / 730 for each in (0.262, 0.524))
    found = size(settings(instance_types=("m5.xlarge", "m5.2xlarge")), 1_000_000, [], core_nodes=5)
    assert (found.instance_type, found.core_nodes, found.vcpus, found.seconds) == ("m5.xlarge", 5, 20, 1450.0)
    # The primary node may be the larger one; 20 vCPUs are 5 of the one or 3 of the other, which cost more.
    assert found.dollars == pytest.approx((twice + max(5 * hour, 3 * twice)) * 1450 / 3600)
    assert size(settings(instance_types=("m5.xlarge", "r6i.xlarge")), 1, []).dollars is None


def test_larger_volumes_cost_more() -> None:
    found = size(settings(ebs_gib=1000), 0, [])
    assert found.dollars == pytest.approx(2 * (0.262 + 1020 * 0.088 / 730) * 450 / 3600)


@given(photos, rates, limits)
def test_a_bill_on_demand_is_the_plans(count: int, measured: list[float], given: dict[str, Any]) -> None:
    chosen = size(settings(**given), count, measured)
    assert bill(settings(**given), chosen).dollars == (pytest.approx(chosen.dollars) if chosen.dollars else None)


def test_a_bill_with_spot_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary and one core node are on demand; an hour of the three others is as EC2 told it last."""
    wished = settings(spot=True)
    chosen = size(wished, 1_000_000, [])
    assert (chosen.core_nodes, chosen.seconds) == (4, 1700.0)
    assert bill(wished, chosen).missing == {"EC2's spot price of m5.xlarge"}
    listed = replace(price_list.price_list()["eu-west-1"], spot={"m5.xlarge": 0.08})
    monkeypatch.setattr(price_list, "price_list", lambda: {"eu-west-1": listed})
    beside = 0.048 + 84 * 0.088 / 730
    hour = 2 * (0.214 + beside) + 3 * (0.08 + beside)
    assert bill(wished, chosen).dollars == pytest.approx(hour * 1700 / 3600)
    alone = size(wished, 100, [])  # one core node: there is none to be spot
    assert bill(wished, alone).dollars == pytest.approx(alone.dollars)


def test_seconds_that_were_measured_come_before_the_usual_ones() -> None:
    assert size(settings(), 2_000, [100.0], core_nodes=1, fixed=480.0).seconds == 485.0
    # 30 minutes less 28 leave 120 s, in which one node does 48,000 photos.
    assert size(settings(), 48_001, [100.0], fixed=1680.0).core_nodes == 2
