from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from orchard.aws import bucket_exists, exists, never_twice, read_object, table_bucket, write_object

URL = "https://elasticmapreduce.eu-west-1.amazonaws.com/"


class Raw:
    """What an AWSResponse reads its content from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> list[bytes]:
        return [self._content]


def answer(status: int, content: bytes) -> AWSResponse:
    return AWSResponse(URL, status, {}, Raw(content))


GOOD = answer(200, b'{"JobFlowId": "j-1"}')
THROTTLED = answer(400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
BROKEN = answer(500, b'{"__type": "InternalServerException", "message": "oops"}')
LOST = ConnectionClosedError(endpoint_url=URL)
LATE = ReadTimeoutError(endpoint_url=URL)
UNSENT = EndpointConnectionError(endpoint_url=URL)


class Wire:
    """A client of EMR that gets the answers and errors that it was told, in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *happens: AWSResponse | Exception) -> None:
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        self.happens = list(happens)
        self.client = boto3.client(
            "emr",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"mode": "standard", "max_attempts": 10}),
        )
        self.client.meta.events.register("before-send.emr", self._send)

    def _send(self, **_: Any) -> AWSResponse:
        happens = self.happens.pop(0)
        if isinstance(happens, Exception):
            raise happens
        return happens

    def run_job_flow(self) -> str:
        return str(self.client.run_job_flow(Name="orchard r1", Instances={})["JobFlowId"])


@pytest.mark.parametrize(
    ("doubtful", "error", "message"),
    [
        (LOST, ConnectionClosedError, "Connection was closed before we received a valid response"),
        (LATE, ReadTimeoutError, "Read timeout on endpoint URL"),
        (BROKEN, ClientError, r"\(InternalServerException\) when calling the RunJobFlow operation.*: oops"),
    ],
    ids=["lost", "late", "broken"],
)
def test_a_call_that_may_have_been_done_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, doubtful: AWSResponse | Exception, error: type[Exception], message: str
) -> None:
    wire = Wire(monkeypatch, doubtful, GOOD)
    never_twice(wire.client, "RunJobFlow")
    with pytest.raises(error, match=message):
        wire.run_job_flow()
    assert wire.happens == [GOOD]


@pytest.mark.parametrize("refused", [THROTTLED, UNSENT], ids=["throttled", "unsent"])
def test_a_call_that_was_not_done_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, refused: AWSResponse | Exception
) -> None:
    wire = Wire(monkeypatch, refused, GOOD)
    never_twice(wire.client, "RunJobFlow")
    assert wire.run_job_flow() == "j-1"


def test_botocore_by_itself_sends_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, LOST, GOOD)
    assert wire.run_job_flow() == "j-1"


def test_other_calls_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, LOST, answer(200, b'{"Clusters": []}'))
    never_twice(wire.client, "RunJobFlow", "AddJobFlowSteps")
    assert wire.client.list_clusters()["Clusters"] == []


def test_objects_and_buckets(bucket: str) -> None:
    s3 = boto3.client("s3")
    address = f"s3://{bucket}/lake/a b.txt"
    assert not exists(s3, address)
    with pytest.raises(FileNotFoundError, match=r"a b\.txt"):
        read_object(s3, address)
    write_object(s3, address, b"fruit", "text/plain")
    assert exists(s3, address)
    assert read_object(s3, address) == b"fruit"
    assert bucket_exists(s3, address)
    assert not bucket_exists(s3, "s3://there-is-no-such-bucket/lake")


def test_a_table_bucket_is_opened_in_its_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the connection's credentials, where it has some; S3 Tables is not asked here."""
    opened: dict[str, str] = {}
    monkeypatch.setattr("pyiceberg.catalog.load_catalog", lambda _, **properties: opened.update(properties))
    secrets = {"s3.access-key-id": "key", "s3.secret-access-key": "secret", "s3.session-token": "token"}
    for held in ({}, secrets):
        monkeypatch.setattr("orchard.aws.catalog_properties", lambda region, held=held: {"s3.region": region, **held})
        opened.clear()
        arn = "arn:aws:s3tables:eu-central-1:111122223333:bucket/aws-s3"
        table_bucket(arn)
        assert (opened["type"], opened["warehouse"]) == ("rest", arn)
        assert opened["uri"] == "https://s3tables.eu-central-1.amazonaws.com/iceberg"
        assert (opened["rest.signing-name"], opened["rest.signing-region"]) == ("s3tables", "eu-central-1")
        assert opened.get("client.session-token") == held.get("s3.session-token")
