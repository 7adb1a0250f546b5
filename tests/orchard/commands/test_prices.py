import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from orchard.commands.prices import main
from orchard.prices.price_list import RegionPrices, read, write
from tests.orchard.price_list_answers import GP3, answers, ec2, emr, stubbed

stub = pytest.fixture(stubbed)


def test_refresh_replaces_a_region_and_leaves_the_others(
    stub: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def client(service: str, region_name: str) -> Any:
        assert (service, region_name) == ("pricing", "eu-central-1")
        return stub.client

    monkeypatch.setattr(boto3, "client", client)
    answers(stub, [[ec2("m5.xlarge", "0.3000000000")]], [emr("m5.xlarge", "0.0500000000")], [GP3])
    file = tmp_path / "prices.json"
    ec2_prices = {"m5.xlarge": 1.0, "m5.2xlarge": 2.0}
    spot: dict[str, Any] = {"spot": {"m5.xlarge": 0.1}, "spot_as_of": "2020-01-01"}
    old = RegionPrices("2020", "memory", 0.1, ec2_prices, {"m5.xlarge": 0.1}, **spot)
    write({"eu-west-1": old, "eu-west-3": old}, file)
    assert main(["--refresh", "--region", "eu-west-1", "--file", str(file)]) == 0
    assert {region: (one.ec2, one.source) for region, one in read(file).items()} == {
        "eu-west-1": ({"m5.xlarge": 0.3}, "AWS Price List API"),
        "eu-west-3": ({"m5.xlarge": 1.0, "m5.2xlarge": 2.0}, "memory"),
    }
    # Spot prices, which were not asked for, keep their date.
    assert (read(file)["eu-west-1"].spot, read(file)["eu-west-1"].spot_as_of) == ({"m5.xlarge": 0.1}, "2020-01-01")
    assert "  m5.xlarge      0.3000   0.0500   0.1000\n" in capsys.readouterr().out


def test_a_refresh_asks_for_spot_prices_where_it_is_told_to(
    stub: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ec2_client = boto3.client("ec2", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    clients = {("pricing", "eu-central-1"): stub.client, ("ec2", "eu-west-1"): ec2_client}
    monkeypatch.setattr(boto3, "client", lambda service, region_name: clients[service, region_name])
    answers(stub, [[ec2("m5.xlarge", "0.3000000000")]], [emr("m5.xlarge", "0.0500000000")], [GP3])
    paid = {
        "InstanceType": "m5.xlarge",
        "AvailabilityZone": "eu-west-1a",
        "SpotPrice": "0.091",
        "Timestamp": datetime(2020, 1, 1, tzinfo=UTC),
    }
    file = tmp_path / "prices.json"
    with Stubber(ec2_client) as answering:
        answering.add_response("describe_spot_price_history", {"SpotPriceHistory": [paid]})
        assert main(["--refresh", "--spot", "--region", "eu-west-1", "--file", str(file)]) == 0
    part = read(file)["eu-west-1"]
    assert (part.spot, part.spot_as_of) == ({"m5.xlarge": 0.091}, part.as_of)
    assert "  m5.xlarge      0.3000   0.0500   0.0910\n" in capsys.readouterr().out


def test_spot_prices_that_are_refused_leave_the_list(
    stub: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ec2_client = boto3.client("ec2", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    clients = {"pricing": stub.client, "ec2": ec2_client}
    monkeypatch.setattr(boto3, "client", lambda service, region_name: clients[service])
    answers(stub, [[ec2("m5.xlarge", "0.3000000000")]], [emr("m5.xlarge", "0.0500000000")], [GP3])
    file = tmp_path / "prices.json"
    with Stubber(ec2_client) as answering:
        answering.add_client_error("describe_spot_price_history", "UnauthorizedOperation", "You may not.")
        assert main(["--refresh", "--spot", "--region", "eu-west-1", "--file", str(file)]) == 1
    assert not file.exists()
    assert capsys.readouterr().err == (
        "EC2 refused: An error occurred (UnauthorizedOperation) when calling the DescribeSpotPriceHistory operation: "
        "You may not.. Take credentials that are valid and allow ec2:DescribeSpotPriceHistory. "
        "The list is left as it was.\n"
    )


def test_spot_alone_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--spot"])
    assert refused.value.code == 2
    assert capsys.readouterr().err.endswith("error: --spot: expected --refresh beside it.\n")


def test_a_refresh_that_fails_leaves_the_list(
    stub: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "client", lambda *_, **__: stub.client)
    answers(stub, [[]], [], [], None)
    file = tmp_path / "prices.json"
    file.write_text("{}")
    assert main(["--refresh", "--region", "eu-west-1", "--file", str(file)]) == 1
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
    assert main(["--refresh", "--region", "eu-west-1", "--file", str(file)]) == 1
    line = capsys.readouterr().err
    assert line.startswith(said + remedy)
    assert line.endswith(". The list is left as it was.\n")
    assert line.count("\n") == 1
    assert file.read_text() == "{}"


def test_what_a_person_sees(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--region", "eu-south-2", "--region", "us-east-1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("eu-south-2, 2026-06 (")
    assert lines[0].endswith("gp3 unknown; S3 unknown; dollars an hour of EC2, and of EMR on top")
    assert lines[1] == "  m5.xlarge      0.2140  unknown"
    assert lines[-1] == "us-east-1: no prices"
    assert main(["--region", "eu-central-1"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert "; S3 $0.0245 a GiB-month, $0.0054 a thousand LIST, $0.00043 a thousand GET; " in line


def test_a_region_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--region", "mars"])
    assert refused.value.code == 2
    assert capsys.readouterr().err.endswith("error: --region mars: expected a region of AWS, such as eu-central-1.\n")
