import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from orchard.instances import INSTANCES
from orchard.prices import price_list as prices
from orchard.prices.price_list import RegionPrices, dollars, price_list
from orchard.prices.price_list_api import PriceListError, fetch
from orchard.settings import EU_REGIONS


def product(family: str, attributes: dict[str, str], usd: str, sku: str = "FGQKTVC4H5FY9Q7F") -> str:
    """Make an item of a PriceList as GetProducts answers it, a JSON text."""
    term = f"{sku}.JRTCKXETXF"
    return json.dumps(
        {
            "product": {"productFamily": family, "attributes": {"regionCode": "eu-west-1", **attributes}, "sku": sku},
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {
                    term: {
                        "priceDimensions": {
                            f"{term}.6YS6EN2CT7": {
                                "unit": "Hrs",
                                "endRange": "Inf",
                                "description": f"${usd} per On Demand Linux Instance Hour",
                                "appliesTo": [],
                                "rateCode": f"{term}.6YS6EN2CT7",
                                "beginRange": "0",
                                "pricePerUnit": {"USD": usd},
                            }
                        },
                        "sku": sku,
                        "effectiveDate": "2026-09-01T00:00:00Z",
                        "offerTermCode": "JRTCKXETXF",
                        "termAttributes": {},
                    }
                },
                "Reserved": {
                    f"{sku}.38NPMPTW36": {
                        "priceDimensions": {
                            f"{sku}.38NPMPTW36.2TG2D8R56U": {
                                "unit": "Quantity",
                                "description": "Upfront Fee",
                                "appliesTo": [],
                                "rateCode": f"{sku}.38NPMPTW36.2TG2D8R56U",
                                "pricePerUnit": {"USD": "867"},
                            }
                        },
                        "sku": sku,
                        "offerTermCode": "38NPMPTW36",
                        "termAttributes": {"LeaseContractLength": "1yr", "OfferingClass": "standard"},
                    }
                },
            },
            "version": "20260915161142",
            "publicationDate": "2026-09-15T16:11:42Z",
        }
    )


def ec2(instance_type: str, usd: str) -> str:
    attributes = {
        "instanceType": instance_type,
        "operatingSystem": "Linux",
        "usagetype": f"EU-BoxUsage:{instance_type}",
    }
    return product("Compute Instance", attributes, usd)


def emr(instance_type: str, usd: str) -> str:
    return product("Elastic Map Reduce Instance", {"instanceType": instance_type, "softwareType": "EMR"}, usd)


GP3 = product("Storage", {"volumeApiName": "gp3", "usagetype": "EU-EBS:VolumeUsage.gp3"}, "0.0880000000")


@pytest.fixture
def stub() -> Iterator[Stubber]:
    client = boto3.client("pricing", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def answer(stub: Stubber, service: str, wanted: dict[str, str], *pages: list[str]) -> None:
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    asked: dict[str, Any] = {"ServiceCode": service, "Filters": filters, "FormatVersion": "aws_v1"}
    for number, page in enumerate(pages):
        more = {"NextToken": f"page {number + 1}"} if number + 1 < len(pages) else {}
        before = {"NextToken": f"page {number}"} if number else {}
        stub.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": page} | more, asked | before)


def answers(stub: Stubber, ec2_pages: list[list[str]], emr_page: list[str], gp3_page: list[str]) -> None:
    machines = {
        "productFamily": "Compute Instance",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
        "regionCode": "eu-west-1",
    }
    answer(stub, "AmazonEC2", machines, *ec2_pages)
    instances = {"productFamily": "Elastic Map Reduce Instance", "softwareType": "EMR", "regionCode": "eu-west-1"}
    answer(stub, "ElasticMapReduce", instances, emr_page)
    answer(stub, "AmazonEC2", {"productFamily": "Storage", "volumeApiName": "gp3", "regionCode": "eu-west-1"}, gp3_page)


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
    )


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
    answers(stub, [[]], [], [])
    with pytest.raises(PriceListError) as refused:
        fetch(stub.client, "eu-west-1", "2026-11-21")
    assert str(refused.value) == (
        "The Price List API has 0 prices of EC2, 0 of EMR and 0 of gp3 for eu-west-1: expected some of each. "
        "Is the region's name right? The list is left as it was."
    )


def test_refresh_replaces_a_region_and_leaves_the_others(
    stub: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def client(service: str, region_name: str) -> Any:
        assert (service, region_name) == ("pricing", "eu-central-1")
        return stub.client

    monkeypatch.setattr(boto3, "client", client)
    answers(stub, [[ec2("m5.xlarge", "0.3000000000")]], [emr("m5.xlarge", "0.0500000000")], [GP3])
    file = tmp_path / "prices.json"
    old = RegionPrices("2020", "memory", 0.1, {"m5.xlarge": 1.0, "m5.2xlarge": 2.0}, {"m5.xlarge": 0.1})
    prices.write({"eu-west-1": old, "eu-west-3": old}, file)
    assert prices.main(["--refresh", "--region", "eu-west-1", "--file", str(file)]) == 0
    assert {region: (one.ec2, one.source) for region, one in prices.read(file).items()} == {
        "eu-west-1": ({"m5.xlarge": 0.3}, "AWS Price List API"),
        "eu-west-3": ({"m5.xlarge": 1.0, "m5.2xlarge": 2.0}, "memory"),
    }
    assert "  m5.xlarge      0.3000   0.0500\n" in capsys.readouterr().out


def test_a_refresh_that_fails_leaves_the_list(
    stub: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "client", lambda *_, **__: stub.client)
    answers(stub, [[]], [], [])
    file = tmp_path / "prices.json"
    file.write_text("{}")
    assert prices.main(["--refresh", "--region", "eu-west-1", "--file", str(file)]) == 1
    assert file.read_text() == "{}"
    assert capsys.readouterr().err.startswith("The Price List API has 0 prices of EC2")


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the AWS that is asked be an HTTP server which refuses everything, as AWS words it."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b'{"__type": "AccessDeniedException", "Message": "User: u may not perform: pricing:GetProducts"}'
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", f"http://127.0.0.1:{server.server_port}")

    def once() -> None:
        with server:
            server.handle_request()

    threading.Thread(target=once, daemon=True).start()


def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobodys")


def away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("what", "said", "remedy"),
    [
        (
            nobody,
            "The Price List API could not be asked: Unable to locate credentials. ",
            "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, to credentials that allow "
            "pricing:GetProducts. ",
        ),
        (
            unknown,
            "The Price List API could not be asked: The config profile (nobodys) could not be found. ",
            "Set AWS_PROFILE, ",
        ),
        (
            refuse,
            "The Price List API refused: An error occurred (AccessDeniedException) when calling the GetProducts "
            "operation: User: u may not perform: pricing:GetProducts. ",
            "Take credentials that are valid and allow pricing:GetProducts. ",
        ),
        (
            away,
            'The Price List API cannot be reached: Could not connect to the endpoint URL: "http://127.0.0.1:1/". ',
            "Ask where there is a way to the internet. ",
        ),
    ],
)
def test_an_aws_that_does_not_answer(
    what: Callable[[pytest.MonkeyPatch], None],
    said: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, and the list unchanged."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which would remember credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    what(monkeypatch)
    file = tmp_path / "prices.json"
    file.write_text("{}")
    assert prices.main(["--refresh", "--region", "eu-west-1", "--file", str(file)]) == 1
    line = capsys.readouterr().err
    assert line.startswith(said + remedy)
    assert line.endswith(". The list is left as it was.\n")
    assert line.count("\n") == 1
    assert file.read_text() == "{}"


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
    prices.write(price_list(), tmp_path / "prices.json")
    assert (tmp_path / "prices.json").read_text() == prices.FILE.read_text()


def test_dollars() -> None:
    hour = 0.214 + 0.048 + 84 * 0.088 / 730
    assert dollars("eu-west-1", "m5.xlarge", 84, 3600, nodes=3) == pytest.approx(3 * hour)
    assert dollars("eu-west-1", "m5.xlarge", 84, 5) == pytest.approx(hour / 60)  # a minute at least
    assert dollars("eu-west-1", "x9.xlarge", 84, 3600) is None
    assert dollars("eusc-de-east-1", "m5.xlarge", 84, 3600) is None
    assert dollars("eu-west-1", "m6g.xlarge", 84, 3600) is None  # EMR's part is not listed
    assert dollars("eu-south-2", "m5.xlarge", 84, 3600) is None  # nor gp3


def test_what_a_person_sees(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices.main(["--region", "eu-south-2", "--region", "us-east-1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("eu-south-2, 2026-06 (")
    assert lines[0].endswith("gp3 unknown; dollars an hour of EC2, and of EMR on top")
    assert lines[1] == "  m5.xlarge      0.2140  unknown"
    assert lines[-1] == "us-east-1: no prices"
