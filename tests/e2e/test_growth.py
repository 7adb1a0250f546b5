"""Days of growth, by the real scheduler on real servers."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.e2e.contents import assert_as_from_scratch, contents, newest, vectors
from tests.e2e.house import DAILY, LakeUnderTest, Run, labels, sample

ALL_GREEN = {
    "take_lake": "success",
    "give_lake_back": "success",
    "find_new_photos": "success",
    "anything_to_do": "success",
    "stage_code": "success",
    "create_cluster": "success",
    "cluster_ready": "success",
    "extract": "success",
    "reduce": "success",
    "maintain": "skipped",  # in a young lake
    "maintained": "skipped",
    "terminate_cluster": "success",
    "cluster_ended": "success",
    "check_run": "success",
    "report": "success",
}
BOTH_STEPS = [("extract", "COMPLETED"), ("reduce", "COMPLETED")]


def test_days_of_growth(lake: LakeUnderTest) -> None:
    """Growth, changes, deletions, bad photos, a busy EMR; meanwhile a back-fill, with nothing to do; the first day."""
    lake.configure(max_reject_share=0.5)
    apple, banana, cherry = labels(3)
    good = sample(apple, 0, 1, 2, 3) | sample(banana, 0, 1, 2, 3)
    whole = sample(apple, 4)[f"{apple}/4.jpg"]
    bad = {
        f"{banana}/cut.jpg": whole[: len(whole) // 2],
        f"{banana}/empty.jpg": b"",
        f"{banana}/page.jpg": b"<html>404</html>",
    }
    lake.put(good | bad)

    first = lake.run("growth-1")
    assert (first.state, first.states) == ("success", ALL_GREEN)
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(good)
    assert lake.uris("rejects") == sorted(bad)
    reasons = [reason for _, reason in contents(lake, "rejects", "uri", "reason")]
    assert reasons == [
        "truncated: the image data ends early",
        "the file is empty (0 bytes)",
        "not an image that can be read: it is a page of HTML: was a download refused?",
    ]
    assert first.xcom("check_run") == {"asked": 11, "embedded": 8, "rejected": 3}
    assert_as_from_scratch(lake)
    _check_clusters(lake, 1)
    (cluster,) = lake.clusters()
    (row,) = lake.table("runs").to_pylist()
    expected = {
        **{"run_id": "growth-1", "listed": 11, "added": 11, "changed": 0, "deleted": 0, "left": 0},
        **{"embedded": 8, "rejected": 3, "cluster": cluster["Id"], "instance_type": "m5.xlarge", "core_nodes": 1},
        **{"vcpus": 4, "basis_id": newest(lake, "bases")["basis_id"], "why": newest(lake, "bases")["why"]},
        "report": f"s3://{lake.bucket}/lake/reports/growth-1.html",
    }
    assert {name: row[name] for name in expected} == expected
    _check_life(row, cluster)
    _check_report(lake, first)
    assert _asset_events(first) == ["orchard_coordinates", "orchard_embeddings", "orchard_recogniser"]

    lake.put(sample(cherry, 0, 1) | {f"{apple}/0.jpg": sample(apple, 9)[f"{apple}/9.jpg"], f"{banana}/cut.jpg": whole})
    lake.delete(f"{banana}/3.jpg")
    lake.house.faults({"call": ".*", "do": "throttle", "share": 0.3})  # the account's EMR is busy: no task notices
    lake.trigger("growth-2", refit="always")
    lake.house.wait_for_task("growth-2", "take_lake", "success")
    waiting = lake.back_fill(2)  # whatever is going on
    second = lake.house.wait("growth-2")
    lake.house.faults()
    assert (second.state, second.states) == ("success", ALL_GREEN)
    assert {second.tries[task] for task, state in second.states.items() if state != "skipped"} == {1}
    assert second.plan | {"listed": 12, "added": 2, "changed": 2, "deleted": 1} == second.plan
    present = sorted({*good, *sample(cherry, 0, 1), f"{banana}/cut.jpg"} - {f"{banana}/3.jpg"})
    assert lake.uris("embeddings") == lake.uris("coordinates") == present
    assert lake.uris("rejects") == sorted(bad.keys() - {f"{banana}/cut.jpg"})
    assert_as_from_scratch(lake)
    _check_clusters(lake, 2)

    nothing = ALL_GREEN | dict.fromkeys(list(ALL_GREEN)[4:], "skipped")
    for third in map(lake.house.wait, waiting):
        assert (third.state, third.states) == ("success", nothing)
        assert f"Another run works on the lake s3://{lake.bucket}/lake: http://" in third.log("take_lake")
        assert "/dags/orchard_daily/runs/growth-2, last heard of at " in third.log("take_lake")
        assert "12 listed: 0 new, 0 changed, 0 deleted" in third.log("find_new_photos")
        assert "nothing to do: no cluster is rented" in third.log("find_new_photos")
        assert _asset_events(third) == []
    _check_clusters(lake, 2)
    assert json.loads(lake.read("lake/lease.json"))["holder"] == ""

    tables = {
        "embeddings": ("uri", "etag", "label", "run_id"),
        "coordinates": ("uri", "etag", "label", "run_id", "basis_id"),
        "rejects": ("uri", "etag", "reason", "run_id"),
        "batches": ("uri", "etag", "action", "run_id"),
        "bases": ("basis_id", "count"),
        "runs": ("run_id", "added", "changed", "deleted"),
    }
    before = {name: contents(lake, name, *columns) for name, columns in tables.items()}
    places = vectors(lake, "coordinates", "coordinates")
    first.clear()
    again = lake.house.wait("growth-1")
    assert (again.state, again.states) == ("success", ALL_GREEN)
    # Five of its photos are another day's by now.
    assert again.xcom("check_run") == {"asked": 11, "embedded": 6, "rejected": 2}
    assert {name: contents(lake, name, *columns) for name, columns in tables.items()} == before
    np.testing.assert_allclose(vectors(lake, "coordinates", "coordinates"), places, atol=1e-5 * np.abs(places).max())
    assert_as_from_scratch(lake)
    _check_clusters(lake, 3)

    assert [run for (run,) in contents(lake, "runs", "run_id")] == ["growth-1", "growth-2"]


def _check_clusters(lake: LakeUnderTest, count: int) -> None:
    """Check that so many clusters ever lived, that each did both steps once, and is gone."""
    clusters = lake.clusters()
    assert [cluster["Status"]["State"] for cluster in clusters] == ["TERMINATED"] * count
    assert [lake.steps(cluster["Id"]) for cluster in clusters] == [BOTH_STEPS] * count


def _check_life(row: dict[str, Any], cluster: dict[str, Any]) -> None:
    """Check that the run was recorded when its cluster had ended, and that the phases of its life add up to it."""
    timeline = cluster["Status"]["Timeline"]
    assert row["cluster_seconds"] == (timeline["EndDateTime"] - timeline["CreationDateTime"]).total_seconds()
    phases = ("start", "bootstrap", "extract", "reduce", "wait", "end")
    assert all(row[f"{phase}_seconds"] is not None for phase in phases if phase != "bootstrap")
    assert sum(row[f"{phase}_seconds"] or 0.0 for phase in phases) == pytest.approx(row["cluster_seconds"])


def _check_report(lake: LakeUnderTest, run: Run) -> None:
    """Follow the task's link as a person does, and as somebody who did not log in."""
    client = run.house.client
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/report/links"
    url = client.call("GET", path)["extra_links"]["Report"]
    assert url == f"{run.house.airflow.url}/orchard/reports/{run.run_id}"
    assert httpx.get(url).status_code == 401
    person = httpx.get(url, headers={"accept": "text/html"})
    assert person.is_redirect and "/auth/login" in person.headers["location"]
    answer = client.http.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.content == lake.read(f"lake/reports/{run.run_id}.html")
    assert run.xcom("report") == f"s3://{lake.bucket}/lake/reports/{run.run_id}.html"
    assert f"<h1>{run.run_id}</h1>" in answer.text
    for uri, reason in contents(lake, "rejects", "uri", "reason"):
        assert uri in answer.text
        assert reason.replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;") in answer.text
    # Of the three bad photos one can be seen in part.
    assert answer.text.count('<img src="data:image/jpeg;base64,') == 1
    assert answer.text.count("Nothing to see of the photo") == 2
    assert client.http.get(f"{run.house.airflow.url}/orchard/reports/no-such-run").status_code == 404


def _asset_events(run: Run) -> list[str]:
    """List the assets that a run said are new; only check_run may."""
    asked = {"source_dag_id": DAILY, "source_run_id": run.run_id}
    events = run.house.client.call("GET", "/assets/events", params=asked)["asset_events"]
    assert {event["source_task_id"] for event in events} <= {"check_run"}
    return sorted(event["name"] for event in events)
