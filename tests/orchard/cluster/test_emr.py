from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from orchard.cluster import emr
from orchard.cluster.request import extract_step, reduce_step
from tests.plans import CODE, PLAN, plan

LIVE = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]
RUN = PLAN.dag_run_id


@pytest.fixture
def stub() -> Iterator[Stubber]:
    """Make a client of EMR that gives the answers that it was told, in their order; EMR's own model checks both."""
    client = boto3.client("emr", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def cluster(
    cluster_id: str,
    state: str = "WAITING",
    lake: str = "s3://bucket/lake",
    dag: str = "orchard_daily",
    run: str = RUN,
    minute: int = 0,
) -> dict[str, Any]:
    tags = {"orchard:lake": lake, "orchard:run": run, "orchard:dag": dag}
    return {
        "Id": cluster_id,
        "Name": "orchard r1",
        "Status": {"State": state, "Timeline": {"CreationDateTime": datetime(2026, 3, 1, 0, minute, tzinfo=UTC)}},
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def listed(stub: Stubber, *names: str) -> None:
    clusters = [{"Id": f"j-{name.upper()}", "Name": f"orchard {name}"} for name in names]
    stub.add_response("list_clusters", {"Clusters": clusters}, {"ClusterStates": LIVE})


def described(stub: Stubber, one: dict[str, Any]) -> None:
    stub.add_response("describe_cluster", {"Cluster": one}, {"ClusterId": one["Id"]})


def test_clusters_of_this_lake_only(stub: Stubber) -> None:
    stub.add_response(
        "list_clusters",
        {
            "Marker": "more",
            "Clusters": [
                {"Id": "j-1", "Name": "orchard r1"},
                {"Id": "j-2", "Name": "somebody's"},  # is not looked at
                {"Id": "j-3", "Name": "orchard of another lake"},
            ],
        },
        {"ClusterStates": LIVE},
    )
    described(stub, cluster("j-1"))
    described(stub, cluster("j-3", lake="s3://bucket/lake2"))
    stub.add_response(
        "list_clusters", {"Clusters": [{"Id": "j-4", "Name": "orchard r4"}]}, {"ClusterStates": LIVE, "Marker": "more"}
    )
    described(stub, cluster("j-4", state="TERMINATING"))  # meanwhile
    (found,) = emr.live_clusters(stub.client, "s3://bucket/lake")
    assert found["Id"] == "j-1"
    assert found["Tags"] == {
        "orchard:lake": "s3://bucket/lake",
        "orchard:run": "scheduled__2026-03-01T00:00:00+00:00",
        "orchard:dag": "orchard_daily",
    }


def test_the_cluster_of_a_run(stub: Stubber) -> None:
    """The newest, should two have been rented."""
    listed(stub, "a", "b", "c", "d")
    described(stub, cluster("j-A", minute=1))
    described(stub, cluster("j-B", minute=2))
    described(stub, cluster("j-C", minute=3, run="manual__1"))
    described(stub, cluster("j-D", minute=4, dag="orchard_monthly"))  # of another DAG, whose run has the same name
    found = emr.find_cluster(stub.client, "s3://bucket/lake", "orchard_daily", RUN)
    assert found and found["Id"] == "j-B"
    listed(stub)
    assert emr.find_cluster(stub.client, "s3://bucket/lake", "orchard_daily", RUN) is None


def test_the_cluster_of_a_run_whose_id_ec2_does_not_take_as_it_is(stub: Stubber) -> None:
    listed(stub, "a")
    one = cluster("j-A", run="=7Eme", lake="s3://bucket/my=27lake")
    one["Tags"].append({"Key": "team", "Value": "a=41"})  # nobody escaped this one
    described(stub, one)
    found = emr.find_cluster(stub.client, "s3://bucket/my'lake", "orchard_daily", "~me")
    assert found and (found["Tags"]["orchard:run"], found["Tags"]["team"]) == ("~me", "a=41")


def step(step_id: str, wanted: dict[str, Any], state: str) -> dict[str, Any]:
    hadoop = wanted["HadoopJarStep"]
    return {
        "Id": step_id,
        "Name": wanted["Name"],
        "Config": {"Jar": hadoop["Jar"], "Args": hadoop["Args"]},
        "Status": {"State": state},
    }


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("PENDING", True),
        ("RUNNING", True),
        ("COMPLETED", True),
        ("CANCEL_PENDING", False),
        ("CANCELLED", False),
        ("FAILED", False),
        ("INTERRUPTED", False),
    ],
)
def test_a_step_that_is_there_already(state: str, found: bool, stub: Stubber) -> None:
    wanted = extract_step(PLAN, CODE)
    others = [
        step("s-1", reduce_step(PLAN, CODE), "RUNNING"),
        step("s-2", extract_step(plan(engine="tensorflow"), CODE), "RUNNING"),  # another command
        step("s-3", extract_step(PLAN, CODE) | {"Name": "extract by hand"}, "RUNNING"),
    ]
    stub.add_response("list_steps", {"Steps": others, "Marker": "more"}, {"ClusterId": "j-1"})
    last = [step("s-4", wanted, state)]
    stub.add_response("list_steps", {"Steps": last}, {"ClusterId": "j-1", "Marker": "more"})
    answer = emr.find_step(stub.client, "j-1", wanted)
    assert (answer and answer["Id"]) == ("s-4" if found else None)


def test_the_newest_of_two_steps_that_are_alike(stub: Stubber) -> None:
    wanted = extract_step(PLAN, CODE)
    steps = [step("s-3", wanted, "FAILED"), step("s-2", wanted, "RUNNING"), step("s-1", wanted, "COMPLETED")]
    stub.add_response("list_steps", {"Steps": steps}, {"ClusterId": "j-1"})
    found = emr.find_step(stub.client, "j-1", wanted)
    assert found and found["Id"] == "s-2"


@pytest.mark.parametrize(
    ("newest_first", "failed"),
    [([], False), (["FAILED"], True), (["COMPLETED", "FAILED"], False), (["CANCELLED", "COMPLETED"], True)],
)
def test_the_last_step_failed(newest_first: list[str], failed: bool, stub: Stubber) -> None:
    steps = [step(f"s-{number}", extract_step(PLAN, CODE), state) for number, state in enumerate(newest_first)]
    stub.add_response("list_steps", {"Steps": steps}, {"ClusterId": "j-1"})
    assert emr.last_step_failed(stub.client, "j-1") is failed


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        *((state, {}, None) for state in LIVE),
        ("TERMINATING", {}, "Cluster j-1 is TERMINATING (no reason given)"),
        (
            "TERMINATED",
            {"Code": "USER_REQUEST", "Message": "Terminated by user request"},
            "Cluster j-1 is TERMINATED (USER_REQUEST: Terminated by user request)",
        ),
        (
            "TERMINATED_WITH_ERRORS",
            {"Code": "BOOTSTRAP_FAILURE"},
            "Cluster j-1 is TERMINATED_WITH_ERRORS (BOOTSTRAP_FAILURE)",
        ),
    ],
)
def test_a_cluster_that_is_gone(state: str, reason: dict[str, str], told: str | None) -> None:
    assert emr.gone({"Id": "j-1", "Status": {"State": state, "StateChangeReason": reason}}) == told
    if not reason:
        assert emr.gone({"Id": "j-1", "Status": {"State": state}}) == told


@pytest.mark.parametrize("protected", [True, False])
def test_how_a_person_ends_a_cluster(protected: bool) -> None:
    one = {"Id": "j-1", "TerminationProtected": protected, "Status": {"State": "WAITING"}}
    for region, url, aws in (
        ("eu-west-1", None, "  aws emr"),
        ("eusc-de-east-1", None, "  aws emr"),
        ("eu-west-1", "http://127.0.0.1:5555", "  aws --endpoint-url http://127.0.0.1:5555 emr"),
    ):
        client = boto3.client("emr", region_name=region, endpoint_url=url)
        unprotect = f"{aws} modify-cluster-attributes --region {region} --cluster-id j-1 --no-termination-protected"
        end = f"{aws} terminate-clusters --region {region} --cluster-ids j-1"
        assert emr.how_to_end(one, client).splitlines() == ([unprotect, end] if protected else [end])
        assert (emr.protected(one, client) or "").endswith(emr.how_to_end(one, client)) == protected
