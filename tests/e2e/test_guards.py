"""What stops a run before it rents or deletes anything, by the real scheduler on real servers."""

import pytest

from local.standalone import AirflowError
from tests.e2e.contents import contents
from tests.e2e.house import LakeUnderTest, Run, labels, sample, wait_until

NOTHING_RENTED = (
    "stage_code",
    "create_cluster",
    "cluster_ready",
    "extract",
    "reduce",
    "maintain",
    "terminate_cluster",
    "cluster_ended",
    "check_run",
    "report",
)


def test_a_look_a_limit_and_a_prefix_emptied(lake: LakeUnderTest) -> None:
    """Two prefixes: a look at the plan, three photos of eight, one prefix empty by mistake, and on purpose."""
    apple, banana, cherry = labels(3)
    north = _under("north", sample(apple, 0, 1) | sample(banana, 0))
    south = _under("south", sample(banana, 1, 2) | sample(cherry, 0, 1, 2))
    lake.configure(prefixes=[f"s3://{lake.bucket}/photos/{name}/" for name in ("north", "south")])
    lake.put(north | south)
    lake.put(_under("west", sample(apple, 5)))  # under neither prefix

    look = lake.run("guards-look", plan_only=True)
    assert look.state == "success"
    assert {look.states[task] for task in NOTHING_RENTED} == {"skipped"}
    log = look.log("find_new_photos")
    for told in (
        "photos   8 listed: 8 new, 0 changed, 0 deleted",
        "cluster  1 primary and 1 core m5.xlarge (4 vCPUs, 50 photos a second each)",
        f"expected {look.plan['seconds'] / 60:.0f} minutes, ${look.plan['dollars']:.2f}",
        "plan only: no cluster is rented, nothing is written",
    ):
        assert told in log
    assert look.plan["dollars"] > 0
    assert (lake.clusters(), contents(lake, "batches", "uri")) == ([], [])

    assert lake.objects("lake/lease.json") == []
    limited = lake.run("guards-limit", limit=3)
    assert limited.state == "success", limited.told()
    assert "8 listed: 3 new, 0 changed, 0 deleted; 5 left for a later run" in limited.log("find_new_photos")
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(north)
    assert contents(lake, "runs", "run_id", "added", "left") == [("guards-limit", 3, 5)]
    assert "complete, with photos left for the next run" in lake.read("lake/reports/guards-limit.html").decode()
    assert _clusters(lake) == ["TERMINATED"]

    lake.delete(*north)
    stopped = lake.run("guards-emptied")
    _assert_red_before_rent(
        stopped,
        f"3 of the 3 photos that the lake holds under s3://{lake.bucket}/photos/north/ are not there any more",
        "the Param mass_deletion_meant of the DAG",
    )
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(north)
    assert {run for (run,) in contents(lake, "batches", "run_id")} == {"guards-limit"}
    assert _clusters(lake) == ["TERMINATED"]

    meant = lake.run("guards-meant", mass_deletion_meant=True, plan_only=True)
    assert meant.state == "success", meant.told()
    assert meant.plan | {"added": 5, "changed": 0, "deleted": 3, "left": 0} == meant.plan


def test_refused_at_once(lake: LakeUnderTest) -> None:
    """What another try would not mend fails at the first one, and an alarm hears of it."""
    lake.put(sample(labels(1)[0], 0, 1))
    lake.configure(extractor="mobilenet_v2-f32-000000000000", tags={"orchard:environment": lake.bucket})
    _assert_red_before_rent(
        lake.run("guards-artefact"),
        f"is not at s3://{lake.bucket}/lake/extractors/mobilenet_v2-f32-000000000000.zip",
        "python -m spark_jobs.export_extractor mobilenet_v2 --out extractors/",
    )
    wait_until(lambda: _failed_runs(lake), seconds=60)
    lake.configure(region="us-east-1")
    _assert_red_before_rent(
        lake.run("guards-region"),
        'region: got "us-east-1", expected one in the EU, where the data are to stay',
        task="take_lake",
    )
    lake.configure()
    _assert_red_before_rent(
        lake.run("guards-params", components=3, variance=0.9),
        "Params components and variance: expected one of them, got 3 and 0.9.",
    )
    # At the API; a run of the second number would end services of Airflow.
    for params, told in (({"limit": 10**10}, "limit"), ({"Limit": 10**20}, r"conf\.Limit: got 10+, which")):
        with pytest.raises(AirflowError, match=told):
            lake.trigger("guards-number", **params)
    assert (lake.clusters(), contents(lake, "batches", "uri")) == ([], [])


def _under(folder: str, photos: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in photos.items()}


def _assert_red_before_rent(run: Run, *told: str, task: str = "find_new_photos") -> None:
    assert run.state == "failed"
    assert run.states[task] == "failed"
    assert {run.states[task] for task in NOTHING_RENTED} == {"upstream_failed"}
    assert run.states["give_lake_back"] == ("upstream_failed" if task == "take_lake" else "success")
    assert run.house.client.tasks(run.dag_id, run.run_id)[task]["try_number"] == 1
    log = run.log(task)
    for text in told:
        assert text in log


def _clusters(lake: LakeUnderTest) -> list[str]:
    return [one["Status"]["State"] for one in lake.clusters()]


def _failed_runs(lake: LakeUnderTest) -> list[object]:
    """List what the alarm for failed runs watches."""
    mine = [{"Name": "Environment", "Value": lake.bucket}]
    found = lake.house.aws("cloudwatch").list_metrics(Namespace="Orchard", MetricName="FailedRuns", Dimensions=mine)
    return list(found["Metrics"])
