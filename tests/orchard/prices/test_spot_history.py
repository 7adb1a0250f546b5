from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from orchard.instances import INSTANCES
from orchard.prices.spot_history import fetch, mean

NOW = datetime(2026, 11, 8, tzinfo=UTC)
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def paid(instance_type: str, zone: str, day: int, usd: str) -> dict[str, Any]:
    moment = datetime(2026, 10, 31, tzinfo=UTC) + timedelta(days=day)
    return {
        "AvailabilityZone": zone,
        "InstanceType": instance_type,
        "ProductDescription": "Linux/UNIX",
        "SpotPrice": usd,
        "Timestamp": moment,
    }


def test_asked_of_ec2() -> None:
    """Page for page, newest first as EC2 answers; a Local Zone does not count."""
    client = boto3.client("ec2", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    asked = {
        "InstanceTypes": sorted(INSTANCES),
        "ProductDescriptions": ["Linux/UNIX"],
        "StartTime": SINCE,
        "EndTime": NOW,
    }
    first = [
        paid("m7g.xlarge", "eu-west-1a", 5, "0.0800"),  # for three days, after four at 0.0450
        paid("m7g.xlarge", "eu-west-1a", 0, "0.0450"),
        paid("m7g.xlarge", "eu-west-1b", 0, "0.0700"),
    ]
    second = [paid("m7g.xlarge", "eu-west-1-dub-1a", 2, "9.0000"), paid("m5.xlarge", "eu-west-1c", 3, "0.1000")]
    with Stubber(client) as stub:
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": first, "NextToken": "2"}, asked)
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": second}, asked | {"NextToken": "2"})
        found = fetch(client, "eu-west-1", NOW)
    assert found == {"m7g.xlarge": 0.065, "m5.xlarge": 0.1}  # ((4 x 0.045 + 3 x 0.08) / 7 + 0.07) / 2


moments = st.datetimes(datetime(2026, 10, 1), datetime(2026, 11, 8), timezones=st.just(UTC))


@given(st.lists(st.tuples(moments, st.floats(0.001, 10)), min_size=1, max_size=20, unique_by=lambda one: one[0]))
def test_a_mean_lies_among_its_prices(changes: list[tuple[datetime, float]]) -> None:
    found = mean(sorted(changes), SINCE, NOW)
    prices = [price for _, price in changes]
    assert min(prices) * (1 - 1e-9) <= found <= max(prices) * (1 + 1e-9)
    assert mean([(moment, 0.25) for moment, _ in sorted(changes)], SINCE, NOW) == pytest.approx(0.25)


def test_what_was_paid_before_counts_until_it_changed() -> None:
    before, middle = SINCE - timedelta(days=9), SINCE + timedelta(days=3.5)
    assert mean([(before, 5.0), (before + timedelta(days=1), 1.0), (middle, 2.0)], SINCE, NOW) == 1.5
