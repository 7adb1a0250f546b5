from pathlib import Path

import pytest

from orchard.instances import INSTANCES
from orchard.prices.price_list import FILE, dollars, price_list, write
from orchard.settings import EU_REGIONS


def test_the_list_that_comes_with_the_code() -> None:
    listed = price_list()
    assert set(listed) <= set(EU_REGIONS)
    for part in listed.values():
        assert part.ec2.keys() | part.emr.keys() <= INSTANCES.keys()
        assert part.as_of
        assert part.source
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
