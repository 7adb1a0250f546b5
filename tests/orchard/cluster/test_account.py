import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from orchard.cluster.account import cost
from tests.plans import SETTINGS, plan

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(hours=1)
CLUSTER = {"Id": "j-1", "Status": {"Timeline": {"CreationDateTime": START}}}
HOUR = 0.214 + 0.048 + 84 * 0.088 / 730  # of an m5.xlarge in eu-west-1
TWICE = 0.428 + 0.096 + 84 * 0.088 / 730  # and of an m5.2xlarge


@pytest.fixture
def stub() -> Iterator[Stubber]:
    client = boto3.client("emr", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def node(instance_type: str, ended: timedelta | None = None, market: str = "ON_DEMAND") -> dict[str, Any]:
    timeline = {"CreationDateTime": START} | ({"EndDateTime": START + ended} if ended else {})
    return {"InstanceType": instance_type, "Market": market, "Status": {"State": "RUNNING", "Timeline": timeline}}


def test_what_truly_ran(stub: Stubber) -> None:
    """A primary, a core node of another type, and two spot nodes, of which one was taken away."""
    first = {"Instances": [node("m5.xlarge"), node("m5.2xlarge")], "Marker": "more"}
    stub.add_response("list_instances", first, {"ClusterId": "j-1"})
    spot = [node("m5.xlarge", timedelta(minutes=15), "SPOT"), node("m5.xlarge", timedelta(minutes=30), "SPOT")]
    stub.add_response("list_instances", {"Instances": spot}, {"ClusterId": "j-1", "Marker": "more"})
    assert cost(SETTINGS, plan(), stub.client, CLUSTER, NOW) == pytest.approx(1.75 * HOUR + TWICE)


def test_no_node_outlives_its_cluster(stub: Stubber) -> None:
    """Whenever the run is recorded, and whether or not EMR has noted the end of its nodes."""
    ended = {"CreationDateTime": START, "EndDateTime": START + timedelta(minutes=30)}
    stub.add_response(
        "list_instances",
        {"Instances": [node("m5.xlarge", timedelta(minutes=29)), node("m5.xlarge")]},
        {"ClusterId": "j-1"},
    )
    cluster = {"Id": "j-1", "Status": {"Timeline": ended}}
    assert cost(SETTINGS, plan(), stub.client, cluster, NOW) == pytest.approx(HOUR * 59 / 60)


def test_a_node_without_a_price(stub: Stubber) -> None:
    stub.add_response("list_instances", {"Instances": [node("m5.xlarge"), node("m6g.xlarge")]}, {"ClusterId": "j-1"})
    assert cost(SETTINGS, plan(), stub.client, CLUSTER, NOW) is None


def test_emr_lists_no_node(stub: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    stub.add_response("list_instances", {"Instances": []}, {"ClusterId": "j-1"})
    with caplog.at_level(logging.WARNING):
        assert cost(SETTINGS, plan(core_nodes=2), stub.client, CLUSTER, NOW) == pytest.approx(3 * HOUR)
    assert "Nodes of cluster j-1 are not known: its cost is that of those that were planned." in caplog.text


def test_the_nodes_may_not_be_listed(stub: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    """A run that went well does not fail for its bill."""
    stub.add_client_error("list_instances", "AccessDeniedException", "not authorized")
    with caplog.at_level(logging.WARNING):
        assert cost(SETTINGS, plan(core_nodes=1), stub.client, CLUSTER, NOW) == pytest.approx(2 * HOUR)
    assert "allow it elasticmapreduce:ListInstances" in caplog.text


def test_other_failures_are_failures(stub: Stubber) -> None:
    stub.add_client_error("list_instances", "InternalServerException", "out of order")
    with pytest.raises(ClientError, match="out of order"):
        cost(SETTINGS, plan(), stub.client, CLUSTER, NOW)
