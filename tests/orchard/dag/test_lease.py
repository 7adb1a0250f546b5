"""A DAG run's turn at the lake, on a real S3: who waits for whom, and what they say."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from orchard import aws as of_orchard
from orchard.dag import lease, tasks, triggers
from orchard.dag.lease import LakeTrigger, TakeLakeSensor, give_back
from orchard.dag.triggers import ClusterTrigger
from orchard.lake.lease import Lease
from orchard.settings import SettingsError
from tests import tables
from tests.conftest import Aws
from tests.plans import EXTRACTOR, plan, settings

PAGE = "http://localhost:8080/dags/orchard_daily/runs/"


@pytest.fixture
def root(aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    root = f"s3://{bucket}/lake"
    database = bucket.replace("-", "_")
    given = settings(lake=root, prefixes=(f"s3://{bucket}/photos",), database=database, poll_seconds=0.05)
    for module in (lease, tasks):
        monkeypatch.setattr(module, "read_settings", lambda: given)
    monkeypatch.setattr(lease, "airflow_url", lambda path: f"http://localhost:8080{path}")
    return root


def run(run_id: str) -> Any:
    return SimpleNamespace(dag_id="orchard_daily", run_id=run_id)


def take(run_id: str, hours: float = 6, **params: Any) -> Any:
    context: Any = {"dag_run": run(run_id), "params": params}
    return TakeLakeSensor(task_id="take_lake", timeout=hours * 3600).execute(context)


def has_it(aws: Aws, root: str) -> str | None:
    other = Lease(root, "nobody", aws.client("s3")).other()
    return other and other.holder


def test_the_second_waits_until_the_first_gives_it_back(
    root: str, aws: Aws, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take("scheduled__1+00:00") == root
    assert take("scheduled__1+00:00") == root  # its retry, or the run that is done again
    assert has_it(aws, root) == f"{PAGE}scheduled__1%2B00%3A00"
    with pytest.raises(TaskDeferred) as waits:
        take("two")
    assert f"Another run works on the lake {root}: {PAGE}scheduled__1%2B00%3A00, last heard of at " in said(capsys)
    kind, given = waits.value.trigger.serialize()
    assert kind == "orchard.dag.lease.LakeTrigger"

    async def wait() -> Any:
        events = LakeTrigger(**given).run()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await asyncio.to_thread(give_back, root, run("scheduled__1+00:00"))
        return (await waiting).payload

    event = asyncio.run(wait())
    context: Any = {"dag_run": run("two"), "params": {}}
    assert TakeLakeSensor(task_id="take_lake").resume_execution("execute_complete", {"event": event}, context) == root
    assert has_it(aws, root) == f"{PAGE}two"
    give_back(root, run("scheduled__1+00:00"))
    assert f"The lake {root} was not this run's any more: somebody broke its lease, or it had ended." in caplog.text
    assert has_it(aws, root) == f"{PAGE}two"


def test_of_four_runs_at_once_one_does_what_there_is_to_do(root: str, aws: Aws, bucket: str) -> None:
    """As of a back-fill, whose runs no max_active_runs holds back: each photo is in one batch, and embedded once."""
    database, runs = bucket.replace("-", "_"), [f"backfill__{number}" for number in range(4)]
    for key in (f"lake/extractors/{EXTRACTOR}.zip", *(f"photos/Fig/{number}.jpg" for number in range(21))):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=key.encode())
    together, waited = threading.Barrier(len(runs)), []

    def turn(run_id: str) -> int:
        """Do what the DAG's tasks do; in place of the cluster, give each photo of the batch an embedding."""
        together.wait()
        sensor = TakeLakeSensor(task_id="take_lake", timeout=600)
        context: Any = {"dag_run": run(run_id), "params": {}}
        event: Any = None
        while True:
            try:
                taken = sensor.execute(context) if event is None else sensor.execute_complete(context, event)
                break
            except TaskDeferred as waits:
                waited.append(run_id)
                event = asyncio.run(_first(waits.trigger))
        found = tasks.make_plan("orchard_daily", run_id, {})
        if found.go:
            catalog = of_orchard.catalog(root, database, found.region)
            batch = catalog.load_table((database, "batches")).scan().to_arrow().to_pylist()
            mine = [{**row, "embedding": [0.0]} for row in batch if row["run_id"] == found.run_id]
            tables.fill(catalog, "embeddings", mine, database)
        give_back(taken, run(run_id))
        return found.added

    with ThreadPoolExecutor(len(runs)) as pool:
        added = list(pool.map(turn, runs))
    assert sorted(added, reverse=True) == [21, 0, 0, 0]
    assert {*waited} == {*runs} - {runs[added.index(21)]}
    catalog = of_orchard.catalog(root, database, "eu-west-1")
    for table in ("batches", "embeddings"):
        uris = catalog.load_table((database, table)).scan().to_arrow()["uri"].to_pylist()
        assert sorted(uris) == sorted(f"s3://{bucket}/photos/Fig/{number}.jpg" for number in range(21))
    assert has_it(aws, root) is None


def test_whoever_has_waited_for_long_enough_ends_green(root: str, aws: Aws) -> None:
    Lease(root, "run_local on ada", aws.client("s3")).take()
    with pytest.raises(AirflowSkipException) as over:
        take("two", hours=0)
    assert str(over.value) == (
        f"Another run worked on the lake {root} for all of 0 hours: this one ends here, and has done nothing. "
        "What it would have found, the next run finds."
    )


def test_whoever_only_looks_neither_waits_nor_takes(root: str, aws: Aws) -> None:
    Lease(root, "run_local on ada", aws.client("s3")).take()
    assert take("two", plan_only=True) is None
    give_back(None, run("two"))
    assert has_it(aws, root) == "run_local on ada"


def test_what_another_try_would_not_mend_fails_at_once(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise SettingsError("Setting rate: got 0, expected a number, more than 0; correct it.")

    nowhere = settings(lake="s3://orchard-nowhere-at-all/lake")
    for read, message in (
        (refuse, "^Setting rate: got 0"),
        (lambda: nowhere, "^s3://orchard-nowhere-at-all/lake: there is no such bucket."),
    ):
        monkeypatch.setattr(lease, "read_settings", read)
        with pytest.raises(AirflowFailException, match=message):
            take("one")


def test_it_is_renewed_while_a_run_waits_for_its_cluster(
    root: str, aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what the task tells its trigger; and a lease that is lost is told, while the wait goes on."""
    waits_for = plan(lake=root, dag_run_id="one")
    s3 = aws.client("s3")
    take("one")

    class Emr:
        async def __aenter__(self) -> "Emr":
            return self

        async def __aexit__(self, *_: Any) -> None:
            pass

        async def get_async_conn(self) -> "Emr":
            return self

        async def describe_cluster(self, **_: Any) -> Any:
            return {"Cluster": {"Status": {"State": "STARTING"}}}

    monkeypatch.setattr(triggers, "hook", lambda *_: Emr())

    def look() -> None:
        given = ClusterTrigger("j-1", "eu-west-1", 0.01, ["WAITING"], time.time(), lease.of(waits_for)).serialize()[1]

        async def wait() -> None:
            _ = [event async for event in ClusterTrigger(**given).run()]

        asyncio.run(wait())

    before = s3.get_object(Bucket=bucket, Key="lake/lease.json")["ETag"]
    look()
    assert s3.get_object(Bucket=bucket, Key="lake/lease.json")["ETag"] != before
    assert has_it(aws, root) == f"{PAGE}one"
    s3.delete_object(Bucket=bucket, Key="lake/lease.json")  # broken by hand
    look()
    assert has_it(aws, root) is None
    assert f"The lake {root} is not this run's any more: another may work on it, too." in said(capsys)


async def _first(trigger: Any) -> Any:
    """Return what a trigger tells its task."""
    return (await anext(trigger.run())).payload


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return "".join(capsys.readouterr())
