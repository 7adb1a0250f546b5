"""Runs that go wrong in the middle, and are mended, by the real scheduler on real servers."""

import json

import pytest

from tests.e2e.contents import assert_as_from_scratch, contents
from tests.e2e.house import REAPER, LakeUnderTest, Run, labels, sample

pytestmark = pytest.mark.long

TRIED_TWICE = [("extract", "FAILED")] * 2
DONE = [("extract", "COMPLETED"), ("reduce", "COMPLETED")]


def test_a_damaged_artefact_and_too_many_rejects(lake: LakeUnderTest) -> None:
    """A step that fails, with the cluster kept and without; a day of bad photos; another basis, and maintenance."""
    apple, banana = labels(2)
    good = sample(apple, 0, 1, 2, 3) | sample(banana, 0, 1, 2, 3)
    lake.put(good)
    _damage_artefact(lake)

    kept = lake.run("failures-kept", keep_cluster=True)
    _assert_extract_failed(kept)
    (cluster,) = lake.clusters()
    assert cluster["Status"]["State"] == "WAITING"
    assert lake.steps(cluster["Id"]) == TRIED_TWICE
    assert "this run was told to keep its cluster then" in kept.log("terminate_cluster")
    assert "A step failed, and the cluster is kept, as this run was told" in kept.log("cluster_ended")
    reaped = lake.house.wait(lake.trigger("failures-reaper", REAPER), REAPER)
    assert (reaped.state, reaped.xcom("give_back_leaked_clusters")) == ("success", [])
    assert "kept on purpose" in reaped.log("give_back_leaked_clusters")
    assert _clusters(lake) == ["WAITING"]

    _mend_artefact(lake)
    kept.clear(task_ids=["extract"], include_downstream=True)
    mended = lake.house.wait("failures-kept")
    assert mended.state == "success", mended.told()
    assert f"Cluster {cluster['Id']} is this run's already, and WAITING." in mended.log("create_cluster")
    assert _clusters(lake) == ["TERMINATED"]
    assert lake.steps(cluster["Id"]) == [*TRIED_TWICE, *DONE]
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(good)
    assert_as_from_scratch(lake)

    _damage_artefact(lake)
    more = sample(banana, 4)
    bad = {f"{banana}/{number}.jpg": b"no photo" for number in (5, 6, 7)}
    lake.put(more | bad)
    failed = lake.run("failures-bad")
    _assert_extract_failed(failed)
    assert _clusters(lake) == ["TERMINATED"] * 2
    assert lake.steps(lake.clusters()[1]["Id"]) == TRIED_TWICE
    assert lake.uris("embeddings") == sorted(good)

    _mend_artefact(lake)
    failed.clear()
    rejected = lake.house.wait("failures-bad")
    assert rejected.state == "failed"
    assert rejected.states["check_run"] == "failed"
    assert rejected.states["terminate_cluster"] == "success"
    assert rejected.states["report"] == "upstream_failed"
    log = rejected.log("check_run")
    assert "Run failures-bad rejected 3 of 4 photos (75.0%), more than 5.0% (setting max_reject_share)" in log
    assert f"s3://{lake.bucket}/photos/{banana}/5.jpg: not an image that can be read" in log
    assert _asset_events(rejected) == 0
    assert _clusters(lake) == ["TERMINATED"] * 3
    assert lake.steps(lake.clusters()[2]["Id"]) == DONE
    assert lake.uris("rejects") == sorted(bad)
    assert [run for (run,) in contents(lake, "runs", "run_id")] == ["failures-kept"]

    # Whoever has looked at them lets them pass: nothing is computed again.
    lake.configure(max_reject_share=0.8)
    rejected.clear(task_ids=["check_run"], include_downstream=True)
    passed = lake.house.wait("failures-bad")
    assert passed.state == "success", passed.told()
    assert _asset_events(passed) == 3
    assert len(lake.clusters()) == 3
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted([*good, *more])
    assert contents(lake, "runs", "run_id", "embedded", "rejected") == [("failures-bad", 1, 3), ("failures-kept", 8, 0)]

    other = lake.run("failures-none", components=3, maintain=True)
    assert other.state == "success", other.told()
    assert {*other.states.values()} == {"success"}  # maintenance among them
    assert "why      another basis is asked for" in other.log("find_new_photos")
    assert "there is nothing to extract" in other.log("extract")
    assert other.xcom("check_run") == {"asked": 0, "embedded": 0, "rejected": 0}
    assert_as_from_scratch(lake, components=3)
    assert lake.uris("coordinates") == sorted([*good, *more])
    assert _clusters(lake) == ["TERMINATED"] * 4
    assert lake.steps(lake.clusters()[3]["Id"]) == [("reduce", "COMPLETED"), ("maintain", "COMPLETED")]
    maintained = json.loads(lake.read(f"lake/steps/{other.plan['run_id']}/maintain.json"))
    assert 0 < maintained["manifests_after"] < maintained["manifests_before"]
    with lake.catalog() as catalog:
        assert "orchard.maintained-at" in catalog.load_table((lake.database, "batches")).properties


def _damage_artefact(lake: LakeUnderTest) -> None:
    key = f"lake/extractors/{lake.house.artefact.name}"
    lake.house.aws("s3").put_object(Bucket=lake.bucket, Key=key, Body=b"half an upload")


def _mend_artefact(lake: LakeUnderTest) -> None:
    key = f"lake/extractors/{lake.house.artefact.name}"
    lake.house.aws("s3").upload_file(str(lake.house.artefact), lake.bucket, key)


def _assert_extract_failed(run: Run) -> None:
    """Check that the run is red at extract, whose log tells all, and that the teardown ran."""
    assert run.state == "failed"
    expected = {"create_cluster": "success", "extract": "failed", "reduce": "upstream_failed"}
    expected |= {"terminate_cluster": "success", "cluster_ended": "success"}
    expected |= {"check_run": "upstream_failed", "report": "upstream_failed"}
    assert {task: run.states[task] for task in expected} == expected
    for attempt in {1, 2} - run.broken_off("extract"):
        log = run.log("extract", attempt)
        _, _, traceback = log.partition("The job left this traceback:\n")
        assert traceback.startswith("Traceback (most recent call last):\n"), log
        assert "artefact.ExtractorError: Not an extractor's artefact, or a damaged one" in traceback
        _, _, said = log.partition("stdout.gz:\n")
        assert "ExtractorError" in said
        assert "is FAILED; see the traceback above." in log


def _clusters(lake: LakeUnderTest) -> list[str]:
    return [one["Status"]["State"] for one in lake.clusters()]


def _asset_events(run: Run) -> int:
    asked = {"source_dag_id": run.dag_id, "source_run_id": run.run_id}
    return len(run.house.client.call("GET", "/assets/events", params=asked)["asset_events"])
