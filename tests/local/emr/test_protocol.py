"""Requests are refused, and answers shaped, as the service model says."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.emr import protocol
from local.emr.errors import EmrError
from tests.local.emr.servers import LocalEmr


def refusal(operation: str, request: Any) -> EmrError:
    with pytest.raises(EmrError) as caught:
        protocol.parse(operation, json.dumps(request).encode())
    return caught.value


def test_what_is_right_passes() -> None:
    assert protocol.parse("DescribeCluster", b'{"ClusterId": "j-1"}') == {"ClusterId": "j-1"}
    assert protocol.parse("ListClusters", b"") == {}
    request = {"CreatedAfter": 1_790_000_000.5, "ClusterStates": ["WAITING"], "Marker": None}
    assert "Marker" not in protocol.parse("ListClusters", json.dumps(request).encode())


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("DescribeCluster", {}, 'Missing required parameter in input: "ClusterId"'),
        ("DescribeCluster", {"ClusterId": 3}, "Invalid type for parameter ClusterId"),
        ("DescribeCluster", {"ClusterId": "j-1", "Bananas": 3}, 'Unknown parameter in input: "Bananas"'),
        (
            "CancelSteps",
            {"ClusterId": "j-1", "StepIds": [], "StepCancellationOption": "NOW"},
            "1 validation error detected: Value 'NOW' at 'stepCancellationOption' failed to satisfy constraint: "
            "Member must satisfy enum value set: [SEND_INTERRUPT, TERMINATE_PROCESS]",
        ),
        ("ListClusters", {"ClusterStates": ["WAITING", "GONE"]}, "'GONE' at 'clusterStates.2.member'"),
        ("CancelSteps", {"ClusterId": "j" * 257, "StepIds": []}, "Member must have length less than or equal to 256"),
        ("CancelSteps", {"ClusterId": "j\u0001", "StepIds": []}, "Member must satisfy regular expression pattern"),
        (
            "PutManagedScalingPolicy",
            {"ClusterId": "j-1", "ManagedScalingPolicy": {"UtilizationPerformanceIndex": 101}},
            "'101' at 'managedScalingPolicy.utilizationPerformanceIndex' failed to satisfy constraint: "
            "Member must have value less than or equal to 100",
        ),
    ],
)
def test_what_is_wrong_is_refused(operation: str, request_: Any, message: str) -> None:
    error = refusal(operation, request_)
    assert error.code == "ValidationException"
    assert message in error.message


def test_characters_beyond_16_bits_are_allowed() -> None:
    assert protocol.parse("CancelSteps", json.dumps({"ClusterId": "🍌", "StepIds": []}).encode())


@pytest.mark.parametrize("body", [b"{", b"[]", b"3"])
def test_no_json_object(body: bytes) -> None:
    with pytest.raises(EmrError, match="JSON") as caught:
        protocol.parse("ListClusters", body)
    assert caught.value.code == "SerializationException"


def test_an_answer_has_only_what_the_model_has() -> None:
    assert protocol.shape_answer("RunJobFlow", {"JobFlowId": "j-1", "ClusterArn": None}) == {"JobFlowId": "j-1"}
    with pytest.raises(AssertionError, match="RunJobFlowOutput has no member Bananas"):
        protocol.shape_answer("RunJobFlow", {"Bananas": 3})


def test_over_http(local_emr: LocalEmr) -> None:
    headers = {"X-Amz-Target": "ElasticMapReduce.DescribeCluster", "Content-Type": protocol.CONTENT_TYPE}
    status, body = local_emr.send("POST", "/", {"ClusterId": "j-NONE"}, headers)
    assert status == 400
    assert body["__type"] == "InvalidRequestException"
    assert body["message"] == "Cluster id 'j-NONE' is not valid."
    status, body = local_emr.send("POST", "/", {}, {"X-Amz-Target": "ElasticMapReduce.BakeCake"})
    assert (status, body["__type"]) == (400, "UnknownOperationException")


def test_calls_that_are_not_answered_say_so(local_emr: LocalEmr) -> None:
    with pytest.raises(ClientError, match=r"does not answer ListStudios: see docs/local-emr\.md") as caught:
        local_emr.emr.list_studios()
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
