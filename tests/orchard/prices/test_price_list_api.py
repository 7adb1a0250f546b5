import pytest
from botocore.stub import Stubber

from orchard.prices.price_list import RegionPrices
from orchard.prices.price_list_api import PriceListError, fetch
from tests.orchard.price_list_answers import GP3, answers, ec2, emr, stubbed

stub = pytest.fixture(stubbed)


def test_asked_of_aws(stub: Stubber) -> None:
    """Page for page; of types that are not offered, and of what is free, nothing is kept."""
    first = [ec2("m5.xlarge", "0.2140000000"), ec2("x1e.xlarge", "1.0000000000"), ec2("m7g.xlarge", "0.0000000000")]
    answers(stub, [first, [ec2("m7g.xlarge", "0.1822000000")]], [emr("m5.xlarge", "0.0480000000")], [GP3])
    assert fetch(stub.client, "eu-west-1", "2026-11-21") == RegionPrices(
        as_of="2026-11-21",
        source="AWS Price List API",
        gp3=0.088,
        ec2={"m5.xlarge": 0.214, "m7g.xlarge": 0.1822},
        emr={"m5.xlarge": 0.048},
        s3={"storage": 0.023, "list": 0.005, "get": 0.0004},  # the first 50 TB; a thousand requests
    )


def test_a_region_that_tells_nothing_of_s3(stub: Stubber) -> None:
    answers(stub, [[ec2("m5.xlarge", "0.2140000000")]], [emr("m5.xlarge", "0.0480000000")], [GP3], ([], [], []))
    assert fetch(stub.client, "eu-west-1", "2026-11-21").s3 == {}


def test_two_prices_for_one_thing(stub: Stubber) -> None:
    both = [ec2("m5.xlarge", "0.2140000000"), ec2("m5.xlarge", "0.2150000000")]
    stub.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": both})
    with pytest.raises(PriceListError) as refused:
        fetch(stub.client, "eu-west-1", "2026-11-21")
    assert str(refused.value) == (
        "The Price List API has two prices for m5.xlarge, $0.214 and $0.215: expected one. "
        "The list is left as it was; tell Orchard's developers."
    )


def test_a_region_without_prices(stub: Stubber) -> None:
    answers(stub, [[]], [], [], None)
    with pytest.raises(PriceListError) as refused:
        fetch(stub.client, "eu-west-1", "2026-11-21")
    assert str(refused.value) == (
        "The Price List API has 0 prices of EC2, 0 of EMR and 0 of gp3 for eu-west-1: expected some of each. "
        "Is the region's name right? The list is left as it was."
    )
