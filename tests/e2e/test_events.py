"""Photos that come start a run: a bucket that tells a queue, and the real triggerer and scheduler."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.principals import EVENTS
from local.stack import REGION, free_port
from local.standalone import Standalone
from tests.e2e.house import DAILY, House, LakeUnderTest, Run, labels, sample, wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def told(lake: LakeUnderTest) -> Iterator[str]:
    """Make the queue that Airflow may read, and let the lake's bucket tell it of photos; give its URL."""
    sqs, arn = lake.house.aws("sqs"), f"arn:aws:sqs:{REGION}:000000000000:{EVENTS}"
    allowed = {
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{lake.bucket}"}},
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    made = sqs.create_queue(QueueName=EVENTS, Attributes={"Policy": policy})["QueueUrl"]
    rules = {"FilterRules": [{"Name": "prefix", "Value": "photos/"}]}
    queue = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": rules}}
    lake.house.aws("s3").put_bucket_notification_configuration(
        Bucket=lake.bucket, NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    yield f"{lake.house.stack.url}/000000000000/{EVENTS}"
    sqs.delete_queue(QueueUrl=made)


@pytest.fixture
def scheduling(lake: LakeUnderTest, told: str, tmp_path: Path) -> Iterator[House]:
    """Start an Airflow that starts runs by itself, which the house's does not, for this lake."""
    given = lake.settings(events_queue=told, quiet_minutes=0.1)
    environment = {
        **lake.house.airflow.environment,
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        # Of a DAG that is paused Airflow watches nothing, and when it is switched on, from its next parsing on.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        "AIRFLOW_VAR_ORCHARD": json.dumps(given),
    }
    airflow = Standalone(tmp_path / "airflow", free_port(), environment, lake.house.airflow.dags)
    house = replace(lake.house, airflow=airflow)
    try:
        house.start_airflow()
        yield house
    finally:
        house.airflow.stop(house.process)


def runs(house: House, kind: str) -> list[str]:
    found = house.client.call("GET", f"/dags/{DAILY}/dagRuns", params={"run_type": kind, "order_by": "run_after"})
    return [str(run["dag_run_id"]) for run in found["dag_runs"]]


def events(run: Run) -> list[Any]:
    """List what the events told by which Airflow started a run."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/upstreamAssetEvents"
    return [(one["name"], one["extra"]["payload"]) for one in run.house.client.call("GET", path)["asset_events"]]


def test_photos_come(lake: LakeUnderTest, scheduling: House) -> None:
    """Beside the daily run: a burst is one run; what is not new rents nothing."""
    scheduling.client.wait_for_dag(DAILY)
    wait_until(lambda: runs(scheduling, "scheduled"))
    (daily,) = runs(scheduling, "scheduled")
    assert scheduling.wait(daily).state == "success"
    assert (runs(scheduling, "asset_triggered"), lake.clusters()) == ([], [])

    photos = sample(labels(1)[0], 0, 1, 2)
    lake.put(photos)
    wait_until(lambda: runs(scheduling, "asset_triggered"))
    first = scheduling.wait(runs(scheduling, "asset_triggered")[0])
    lake.assert_done_once(first, photos)
    ((name, payload),) = events(first)
    assert (name, payload["photos"]) == ("orchard_photos", 3)
    assert {uri.rpartition("/")[0] for uri in payload["such_as"]} == {f"s3://{lake.bucket}/photos/{labels(1)[0]}"}

    lake.put(dict(list(photos.items())[:1]))  # the same bytes again
    wait_until(lambda: len(runs(scheduling, "asset_triggered")) > 1)
    second = scheduling.wait(runs(scheduling, "asset_triggered")[1])
    assert second.state == "success"
    assert "nothing to do: no cluster is rented" in second.log("find_new_photos")
    assert second.states["create_cluster"] == "skipped"
    assert len(lake.clusters()) == 1
    assert (runs(scheduling, "asset_triggered"), runs(scheduling, "scheduled")) == (
        [first.run_id, second.run_id],
        [daily],
    )
