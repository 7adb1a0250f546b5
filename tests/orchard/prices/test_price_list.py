from dataclasses import replace
from pathlib import Path

import pytest

from orchard.instances import INSTANCES
from orchard.prices import price_list as module
from orchard.prices.price_list import FILE, NOTHING, S3, SPOT, Cost, cost, dollars, price_list, write
from orchard.settings import EU_REGIONS


def test_the_list_that_comes_with_the_code() -> None:
    listed = price_list()
    assert set(listed) <= set(EU_REGIONS)
    for part in listed.values():
        assert part.ec2.keys() | part.emr.keys() <= INSTANCES.keys()
        assert part.as_of
        assert part.source
        assert part.s3.keys() in ({*S3}, set())
        assert part.spot == {}  # they move by the hour: none comes with the code
    ireland = listed["eu-west-1"]
    assert (ireland.ec2["m5.xlarge"], ireland.emr["m5.xlarge"], ireland.gp3) == (0.214, 0.048, 0.088)
    assert listed["eu-central-1"].ec2["m5.2xlarge"] == 0.46


def test_written_as_it_is_read(tmp_path: Path) -> None:
    """So that a refresh changes only what changed."""
    write(price_list(), tmp_path / "prices.json")
    assert (tmp_path / "prices.json").read_text() == FILE.read_text()


def test_dollars() -> None:
    hour = 0.214 + 0.048 + 84 * 0.088 / 730
    assert dollars("eu-west-1", "m5.xlarge", 84, 3600, nodes=3) == pytest.approx(3 * hour)
    assert dollars("eu-west-1", "m5.xlarge", 84, 5) == pytest.approx(hour / 60)  # a minute at least
    assert dollars("eu-west-1", "x9.xlarge", 84, 3600) is None
    assert dollars("eusc-de-east-1", "m5.xlarge", 84, 3600) is None
    assert dollars("eu-west-1", "m6g.xlarge", 84, 3600) is None  # EMR's part is not listed
    assert dollars("eu-south-2", "m5.xlarge", 84, 3600) is None  # nor gp3


def test_what_is_known_of_a_cost() -> None:
    """Graviton: EC2's price and volumes are, EMR's part is not; and no spot price is."""
    volumes = 84 * 0.088 / 730
    graviton = cost("eu-west-1", "m6g.xlarge", 84, 3600, nodes=2)
    assert graviton == (pytest.approx(2 * (0.172 + volumes)), {"EMR's part of m6g.xlarge"})
    assert graviton.dollars is None
    spot = cost("eu-west-1", "m5.xlarge", 84, 3600, market=SPOT)
    assert spot == (pytest.approx(0.048 + volumes), {"EC2's spot price of m5.xlarge"})
    assert cost("eu-north-2", "m5.xlarge", 84, 3600) == (0.0, {"all prices of eu-north-2"})
    assert graviton.plus(spot).missing == graviton.missing | spot.missing
    assert NOTHING.plus(Cost(2.0)).dollars == 2.0


def test_spot_replaces_ec2s_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = replace(price_list()["eu-west-1"], spot={"m5.xlarge": 0.09}, spot_as_of="2026-11-01")
    monkeypatch.setattr(module, "price_list", lambda: {"eu-west-1": listed})
    hour = cost("eu-west-1", "m5.xlarge", 84, 3600, market=SPOT).dollars
    assert hour == pytest.approx(0.09 + 0.048 + 84 * 0.088 / 730)
