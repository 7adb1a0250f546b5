import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.stub import Stubber

from orchard.dag import reaper
from orchard.dag.reaper import reap
from tests.orchard.cluster.test_emr import LIVE, cluster, described
from tests.plans import SETTINGS, settings


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Make the reaper's client of EMR."""
    emr = boto3.client("emr", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")

    def open_client(service: str, region: str) -> Any:
        assert (service, region) == ("emr", "eu-west-1")
        return emr

    monkeypatch.setattr(reaper, "read_settings", lambda: SETTINGS)
    monkeypatch.setattr("orchard.aws.client", open_client)
    with Stubber(emr) as stub:
        yield stub
        stub.assert_no_pending_responses()


def airflow(runs: dict[str, str]) -> reaper.CountRuns:
    """Count runs of orchard_daily as Airflow does; `runs` maps ids to states."""

    def count(dag_id: str, run_id: str, states: Sequence[str] | None) -> int:
        assert dag_id == "orchard_daily"
        return int(run_id in runs and (states is None or runs[run_id] in states))

    return count


def clusters(stub: Stubber, ones: Iterable[dict[str, Any]]) -> None:
    given = list(ones)
    summaries = [{"Id": one["Id"], "Name": one["Name"]} for one in given]
    stub.add_response("list_clusters", {"Clusters": summaries}, {"ClusterStates": LIVE})
    for one in given:
        described(stub, one)


def test_only_what_nobody_owns(stub: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    stub.add_response(
        "list_clusters",
        {"Clusters": [{"Id": f"j-{i}", "Name": "orchard r"} for i in range(1, 6)]},
        {"ClusterStates": LIVE},
    )
    states = {"r1": "running", "r2": "queued", "r3": "failed", "r4": "success"}
    for i in (1, 2, 3, 4, 5):
        described(stub, cluster(f"j-{i}", run=f"r{i}"))
        if i > 2:
            stub.add_response("terminate_job_flows", {}, {"JobFlowIds": [f"j-{i}"]})
    with caplog.at_level(logging.INFO, "orchard"):
        assert reap(airflow(states)) == ["j-3", "j-4", "j-5"]
    assert caplog.messages == [
        "Cluster j-1 (WAITING) of run r1 of orchard_daily: the run goes on.",
        "Cluster j-2 (WAITING) of run r2 of orchard_daily: the run goes on.",
        "Cluster j-3 (WAITING) of run r3 of orchard_daily: the run has ended, so it is terminated.",
        "Cluster j-4 (WAITING) of run r4 of orchard_daily: the run has ended, so it is terminated.",
        "Cluster j-5 (WAITING) of run r5 of orchard_daily: there is no such run any more, so it is terminated.",
    ]


@pytest.mark.parametrize("failed", [True, False])
def test_kept_on_purpose_only_where_a_step_failed(
    failed: bool, stub: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    kept = cluster("j-1", run="r1")
    kept["Tags"].append({"Key": "orchard:keep", "Value": "when a step failed"})
    clusters(stub, [kept])
    stub.add_response(
        "list_steps",
        {"Steps": [{"Id": "s-1", "Status": {"State": "FAILED"}}] if failed else []},
        {"ClusterId": "j-1"},
    )
    if not failed:
        stub.add_response("terminate_job_flows", {}, {"JobFlowIds": ["j-1"]})
    with caplog.at_level(logging.INFO, "orchard"):
        assert reap(airflow({"r1": "failed"})) == ([] if failed else ["j-1"])
    told = "Cluster j-1 (WAITING) of run r1 of orchard_daily: kept on purpose, until it was idle for long enough."
    assert (told in caplog.messages) == failed


def test_one_that_is_protected_keeps_no_other(stub: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    """EMR would refuse, and name none: the task is red, and says how to end it, until somebody does."""
    ones = [cluster("j-1", run="r1") | {"TerminationProtected": True}, cluster("j-2", run="r1")]
    clusters(stub, ones)
    stub.add_response("terminate_job_flows", {}, {"JobFlowIds": ["j-2"]})
    with caplog.at_level(logging.INFO, "orchard"), pytest.raises(AirflowFailException) as raised:
        reap(airflow({"r1": "failed"}))
    assert str(raised.value).endswith(
        "  aws emr modify-cluster-attributes --region eu-west-1 --cluster-id j-1 --no-termination-protected\n"
        "  aws emr terminate-clusters --region eu-west-1 --cluster-ids j-1"
    )
    assert caplog.messages[0].startswith(
        "Cluster j-1 (WAITING) of run r1 of orchard_daily: the run has ended. "
        "Cluster j-1 is WAITING and protected from termination"
    )
    assert caplog.messages[1].startswith("Cluster j-2 ")


def test_nothing_to_reap(stub: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    clusters(stub, [])
    with caplog.at_level(logging.INFO, "orchard"):
        assert reap(airflow({})) == []
    assert caplog.messages == ["No cluster of s3://bucket/lake is without an owner."]


def test_the_age_of_the_oldest_is_put_for_the_alarm(stub: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    put = []
    watched = settings(tags={"orchard:environment": "prod"})
    monkeypatch.setattr(reaper, "read_settings", lambda: watched)
    monkeypatch.setattr("orchard.dag.metrics.put", lambda *given: put.append(given))
    ones = [cluster(f"j-{i}", run="r1") for i in (1, 2)]
    for one, hours in zip(ones, (2, 7), strict=True):
        one["Status"]["Timeline"]["CreationDateTime"] = datetime.now(UTC) - timedelta(hours=hours)
    clusters(stub, ones)
    reap(airflow({"r1": "running"}))
    ((*named, age),) = put
    assert (named, round(age, 1)) == ([watched, "ClusterHours"], 7.0)


def test_another_lakes_clusters_are_left_alone(stub: Stubber) -> None:
    """Two Airflows may share an account, and know nothing of one another's runs."""
    clusters(stub, [cluster("j-1", run="r1", lake="s3://bucket/lake2")])
    assert reap(airflow({})) == []


def test_a_cluster_that_lost_its_tags_but_the_lakes(stub: Stubber) -> None:
    bare = cluster("j-1")
    bare["Tags"] = [{"Key": "orchard:lake", "Value": "s3://bucket/lake"}]
    clusters(stub, [bare])
    stub.add_response("terminate_job_flows", {}, {"JobFlowIds": ["j-1"]})
    assert reap(lambda dag_id, run_id, states: 0) == ["j-1"]
