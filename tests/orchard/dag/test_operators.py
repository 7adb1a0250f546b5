"""What a step's task makes of an end that it did not expect, and of one that was there before it."""

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import PropertyMock

import boto3
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from botocore.stub import Stubber

from orchard.cluster.request import STEPS
from orchard.dag import operators
from orchard.dag.operators import RunStepOperator
from orchard.plan import Plan
from tests.plans import CODE, plan, settings

CLUSTER, STEP = "j-1", "s-1"


class Hook:
    """The provider's hook, as far as the operator asks it."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn


@pytest.fixture
def emr() -> Any:
    """Make a client of EMR whose answers a test gives; EMR's own model checks them."""
    return boto3.client("emr", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def operator(emr: Any, aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> RunStepOperator:
    """Make the task of step 1, on a real S3 and that client."""
    monkeypatch.setattr(operators, "client", lambda *_: aws.client("s3"))
    monkeypatch.setattr(operators, "read_settings", lambda: settings(log_seconds=0.0))
    monkeypatch.setattr(operators, "show_cluster", lambda *_: None)  # in the UI
    monkeypatch.setattr(RunStepOperator, "hook", PropertyMock(return_value=Hook(emr)))
    given = plan(lake=f"s3://{bucket}/lake", added=1).to_dict()
    return RunStepOperator(task_id="extract", step="extract", cluster_id=CLUSTER, plan=given, code=CODE)


@pytest.mark.parametrize(
    ("cluster", "step", "error", "message"),
    [
        # The step was seen to end just before its cluster was: it must not be tried again on a cluster that is gone.
        (
            "TERMINATING",
            "INTERRUPTED",
            AirflowFailException,
            "Cluster j-1 is TERMINATING (USER_REQUEST: Terminated by user request); Step extract (s-1) is INTERRUPTED. "
            "Clear the run's tasks to do it again.",
        ),
        ("WAITING", "FAILED", AirflowException, "Step extract (s-1) is FAILED; see the traceback above."),
        ("WAITING", "CANCELLED", AirflowFailException, "Step extract (s-1) is CANCELLED: somebody cancelled it."),
    ],
)
def test_a_step_that_ended_badly(
    cluster: str,
    step: str,
    error: type[Exception],
    message: str,
    emr: Any,
    operator: RunStepOperator,
) -> None:
    status: dict[str, Any] = {"State": cluster}
    if cluster == "TERMINATING":
        status["StateChangeReason"] = {"Code": "USER_REQUEST", "Message": "Terminated by user request"}
    with Stubber(emr) as stub:
        stub.add_response("describe_cluster", {"Cluster": {"Id": CLUSTER, "Status": status}})
        stub.add_response("describe_step", {"Step": {"Id": STEP, "Status": {"State": step}}})
        with pytest.raises(error) as raised:
            operator.resume({}, {"state": step, "step_id": STEP})
        stub.assert_no_pending_responses()
    assert str(raised.value) == message
    assert type(raised.value) is error


def test_a_step_that_is_done_already_is_not_waited_for(
    emr: Any, aws: Any, bucket: str, operator: RunStepOperator
) -> None:
    """A task that goes on within a moment of its deferral may be taken by Airflow for one that died."""
    given = Plan.from_dict(operator.plan)
    key = f"lake/steps/{given.run_id}/extract.json"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b'{"photos": 1}')
    wanted = STEPS["extract"](given, CODE)
    with Stubber(emr) as stub:
        stub.add_response("describe_cluster", {"Cluster": {"Id": CLUSTER, "Status": {"State": "WAITING"}}})
        there = {"Id": STEP, "Name": wanted["Name"], "Status": {"State": "COMPLETED"}}
        there["Config"] = {"Args": wanted["HadoopJarStep"]["Args"]}
        stub.add_response("list_steps", {"Steps": [there]})
        assert operator.execute({}) == STEP
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("lacks", "task_id"), [("cluster_id", "create_cluster"), ("code", "stage_code"), ("plan", "find_new_photos")]
)
def test_a_task_before_was_marked_as_success(lacks: str, task_id: str, operator: RunStepOperator) -> None:
    """By hand, and left nothing: said once, and not tried again."""
    setattr(operator, lacks, None)
    what = lacks.removesuffix("_id")
    with pytest.raises(AirflowFailException) as raised:
        operator.execute({})
    assert str(raised.value) == (
        f"There is no {what}: {task_id} is marked as success, and has left none. Clear {task_id}, with Downstream."
    )


@pytest.mark.parametrize(
    ("withdrew", "reduce", "red"), [(True, "success", True), (True, None, False), (False, "success", False)]
)
def test_step_1_cleared_alone(
    withdrew: bool, reduce: str | None, red: bool, emr: Any, aws: Any, bucket: str, operator: RunStepOperator
) -> None:
    """Red where the sums of step 2 had to go, and nobody makes them anew."""
    given = Plan.from_dict(operator.plan)
    key, did = f"lake/steps/{given.run_id}/extract.json", {"photos": 1, "withdrew": withdrew}
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(did).encode())
    task = SimpleNamespace(dag_id="d", run_id="r", get_task_states=lambda **_: {"r": {"reduce": reduce}})
    event = {"state": "COMPLETED", "step_id": STEP}
    if not red:
        assert operator.resume({"ti": task}, event) == STEP
        return
    with pytest.raises(AirflowFailException, match=r"Clear this task once more, with Downstream\.$"):
        operator.resume({"ti": task}, event)
