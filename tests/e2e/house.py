"""The house of the end-to-end tests: real servers, a real Airflow, and a lake of its own for each story."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import psutil
import pyarrow as pa
from pyiceberg.catalog import Catalog

from local.guarded import Guarded
from local.principals import SETTINGS, TAGS
from local.sample_photos import LABELS, render
from local.stack import REGION, Stack
from local.standalone import Client, Standalone
from orchard.lake.tables import open_catalog

REPOSITORY = Path(__file__).resolve().parents[2]
DAILY, REAPER = "orchard_daily", "orchard_reaper"
ENDED = ("success", "failed")


def copy_dags(folder: Path) -> Path:
    """Copy the DAGs, with retries that come at once; nothing else is changed."""
    shutil.copytree(REPOSITORY / "dags", folder)
    for path in folder.glob("*.py"):
        text, found = re.subn(r"timedelta\(seconds=30\)", "timedelta(seconds=2)", path.read_text())
        assert found, f"{path.name}: expected a retry_delay of timedelta(seconds=30)"
        path.write_text(text)
    return folder


@dataclass
class House:
    """Both servers and Airflow, up.

    Attributes
    ----------
    artefact : Path
        Of the extractor that the lakes use.
    """

    stack: Stack
    airflow: Standalone
    artefact: Path
    client: Client = field(init=False)
    process: Guarded = field(init=False)  # keeps Airflow's services up
    _clients: dict[str, Any] = field(default_factory=dict)
    _new_emrs: list[Guarded] = field(default_factory=list)

    def aws(self, service: str) -> Any:
        """Open a boto3 client of the servers."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.stack.emr_url if service == "emr" else self.stack.url,
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._clients[service]

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Set the rules by which the local EMR misbehaves; none: it behaves."""
        url = f"{self.stack.emr_url}/_faults"
        urlopen(Request(url, method="DELETE")).close()
        if rules:
            body = json.dumps(list(rules)).encode()
            urlopen(Request(url, body, {"content-type": "application/json"}, method="POST")).close()

    def wait(self, run_id: str, dag_id: str = DAILY, seconds: float = 300) -> "Run":
        """Wait until a run has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.client.run(dag_id, run_id)["state"] in ENDED:
                return Run(self, dag_id, run_id)
            time.sleep(0.5)
        states = {task: one["state"] for task, one in self.client.tasks(dag_id, run_id).items()}
        raise AssertionError(f"Run {run_id} of {dag_id} has not ended after {seconds} s: {states}")

    def wait_for_task(self, run_id: str, task_id: str, state: str, dag_id: str = DAILY, seconds: float = 180) -> None:
        """Wait until a task is in a state."""
        until, seen = time.monotonic() + seconds, None
        while time.monotonic() < until:
            tasks = self.client.tasks(dag_id, run_id)
            seen = tasks[task_id]["state"] if task_id in tasks else None
            if seen == state:
                return
            assert seen != "failed" or state == "failed", Run(self, dag_id, run_id).log(task_id)
            time.sleep(0.3)
        raise AssertionError(f"Task {task_id} of {run_id} is {seen}, not {state}, after {seconds} s")

    def kill_worker(self, run_id: str, task_id: str, dag_id: str = DAILY) -> None:
        """Kill a task and the worker that watches it, as when their machine dies."""
        task = psutil.Process(self.client.tasks(dag_id, run_id)[task_id]["pid"])
        for one in (task.parent(), task):  # the worker first, so that it cannot tell of the task's death
            one.kill()

    def cluster_state(self, cluster_id: str) -> str:
        """Ask for a cluster's state."""
        return str(self.aws("emr").describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"])

    def kill_service(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to `airflow scheduler` or `airflow triggerer`; SIGKILL takes all that it started, too.

        Returns
        -------
        int
            The process id that it had: it is started again by itself.
        """
        service = self._service(name)
        below = service.children(recursive=True) if number == signal.SIGKILL else []
        for one in (service, *below):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)
        until = time.monotonic() + 60
        while service.is_running() and service.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < until, f"{name} goes on after signal {number}"
            time.sleep(0.1)
        return service.pid

    @contextmanager
    def silent_service(self, name: str) -> Iterator[None]:
        """Stop a service of Airflow, and all that it started, in the middle of what they do; let them go on later."""
        service = self._service(name)
        processes = [service, *service.children(recursive=True)]
        for one in processes:
            one.suspend()
        try:
            yield
        finally:
            for one in processes:
                one.resume()

    @contextmanager
    def another_service(self, name: str) -> Iterator[None]:
        """Start a second one of a service, and end it later."""
        command, log = [sys.executable, "-m", "airflow", name], self.airflow.log_file
        guard = Guarded.start(command, self.airflow.home, self.airflow.settings(), log)
        try:
            wait_until(lambda: _find(psutil.Process(guard.pid), lambda command: name in command))
            yield
        finally:
            guard.stop(10)

    def wait_for_service(self, name: str, after: int) -> None:
        """Wait until a service that was killed is up again, by itself.

        Parameters
        ----------
        after : int
            Its process id before.
        """
        wait_until(lambda: (found := self._running(name)) is not None and found.pid != after)

    def _service(self, name: str) -> psutil.Process:
        found = self._running(name)
        assert found, f"No process of `airflow {name}` is found"
        return found

    def _running(self, name: str) -> psutil.Process | None:
        # Its watchdog's command holds its own.
        return _find(psutil.Process(self.process.pid), lambda command: command[1:4] == ["-m", "airflow", name])

    def kill_airflow(self) -> None:
        """Kill all of Airflow."""
        self.process.kill()

    def kill_emr(self) -> None:
        """Kill the local EMR; what it ran dies with it."""
        emr = self._emr()
        ran = emr.children(recursive=True)
        emr.kill()
        _, left = psutil.wait_procs(ran, timeout=20)
        assert not left, left

    def start_emr(self) -> None:
        """Start the local EMR again, on the same data."""
        self._new_emrs.append(self.stack.start_emr())
        wait_until(lambda: self.stack.answers)

    def emr_runs(self, job: str) -> bool:
        """Say whether a job's own process runs now."""
        return _find(self._emr(), lambda command: any(part.endswith(f"/{job}.py") for part in command)) is not None

    def _emr(self) -> psutil.Process:
        # Its watchdog's command holds its own.
        found = _find(psutil.Process(), lambda command: command[1:3] == ["-m", "local.emr"])
        assert found, "no process of the local EMR"
        return found

    def start_airflow(self) -> None:
        """Start Airflow again, and wait until it is healthy."""
        self.process = self.airflow.start()
        self.client = self.airflow.wait(self.process)

    def stop(self) -> None:
        """Stop Airflow, and what was started beside it."""
        self.airflow.stop(self.process)
        for guard in self._new_emrs:
            guard.stop(10)

    def lake(self) -> "LakeUnderTest":
        """Make a lake in a bucket of its own, and make it the DAG's; the principals may work on it and no other."""
        lake = LakeUnderTest(self, f"orchard-{uuid.uuid4().hex[:10]}")
        self.aws("s3").create_bucket(Bucket=lake.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.aws("s3").upload_file(str(self.artefact), lake.bucket, f"lake/extractors/{self.artefact.name}")
        self.stack.principals.permit(lake.bucket, lake.database)
        lake.configure()
        return lake


@dataclass(frozen=True)
class Run:
    """A DAG run that has ended."""

    house: House
    dag_id: str
    run_id: str

    @property
    def state(self) -> str:
        return str(self.house.client.run(self.dag_id, self.run_id)["state"])

    @property
    def states(self) -> dict[str, str]:
        """The state of each task."""
        return {task: one["state"] for task, one in self.house.client.tasks(self.dag_id, self.run_id).items()}

    @property
    def tries(self) -> dict[str, int]:
        """How often each task was tried."""
        return {task: one["try_number"] for task, one in self.house.client.tasks(self.dag_id, self.run_id).items()}

    @property
    def plan(self) -> dict[str, Any]:
        """What find_new_photos decided."""
        return dict(self.xcom("find_new_photos"))

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        value = self.house.client.xcom(self.dag_id, self.run_id, task_id, key)
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value

    def log(self, task_id: str, attempt: int | None = None) -> str:
        """Read the text of a task's log; default: of its last attempt."""
        if attempt is None:
            attempt = self.house.client.tasks(self.dag_id, self.run_id)[task_id]["try_number"]
        lines = self.house.client.log(self.dag_id, self.run_id, task_id, attempt).splitlines()
        events = []
        for line in lines:
            with contextlib.suppress(ValueError):
                one = json.loads(line)
                events.append(str(one.get("event", "")) + (f"\n{one['error_detail']}" if "error_detail" in one else ""))
        return "\n".join(events)

    def broken_off(self, task_id: str) -> set[int]:
        """Return the attempts that Airflow broke off itself.

        A deferred task that goes on before a starved scheduler heard of its deferral passes for one that died.
        """
        asked = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": task_id, "event": "state mismatch"}
        return {one["try_number"] for one in self.house.client.call("GET", "/eventLogs", params=asked)["event_logs"]}

    def told(self) -> str:
        """Say what became of each task, and what the failed ones logged."""
        logs = (f"{task}: {self.log(task)}" for task, state in self.states.items() if state == "failed")
        return "\n".join([str(self.states), *logs])

    def clear(self, **options: Any) -> None:
        """Clear all of the run's tasks, as in the UI: it is done again."""
        body = {"dry_run": False, "dag_run_id": self.run_id, "only_failed": False, "reset_dag_runs": True, **options}
        self.house.client.call("POST", f"/dags/{self.dag_id}/clearTaskInstances", json=body)


@dataclass(frozen=True)
class LakeUnderTest:
    """A lake, its photos, and the runs on it."""

    house: House
    bucket: str

    @property
    def database(self) -> str:
        """The lake's own database in the catalog that all lakes share."""
        return self.bucket.replace("-", "_")

    def settings(self, **settings: Any) -> dict[str, Any]:
        """Return what the variable `orchard` holds for this lake, with more settings."""
        return {
            "lake": f"s3://{self.bucket}/lake",
            "prefixes": [f"s3://{self.bucket}/photos/"],
            "extractor": self.house.artefact.stem,
            "database": self.database,
            "region": REGION,
            "poll_seconds": 1,
            "log_seconds": 10,
            "console": self.house.stack.emr_url,
            "tags": TAGS,
            **SETTINGS,
            **settings,
        }

    def configure(self, **settings: Any) -> None:
        """Set the variable `orchard` to this lake, with more settings."""
        body = {"key": "orchard", "value": json.dumps(self.settings(**settings))}
        with contextlib.suppress(RuntimeError):  # there is none yet
            self.house.client.call("DELETE", "/variables/orchard")
        self.house.client.call("POST", "/variables", json=body)

    def put(self, photos: Mapping[str, bytes]) -> None:
        """Upload photos by their names under ``photos/``."""
        s3 = self.house.aws("s3")
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda one: s3.put_object(Bucket=self.bucket, Key=f"photos/{one[0]}", Body=one[1]), photos.items()
                )
            )

    def delete(self, *names: str) -> None:
        """Delete photos by their names under ``photos/``."""
        for name in names:
            self.house.aws("s3").delete_object(Bucket=self.bucket, Key=f"photos/{name}")

    def trigger(self, run_id: str | None = None, dag_id: str = DAILY, **params: Any) -> str:
        """Start a run."""
        return self.house.client.trigger(dag_id, run_id, **params)

    def run(self, run_id: str | None = None, seconds: float = 300, **params: Any) -> Run:
        """Start a run of orchard_daily, and wait for its end."""
        return self.house.wait(self.trigger(run_id, **params), seconds=seconds)

    def back_fill(self, days: int) -> list[str]:
        """Start a run of orchard_daily for each of so many days, all at once; return their ids.

        On SQLite, Airflow refuses a back-fill when anything else is written while it reads the DAG, which on a starved
        machine is always: the DAG is paused meanwhile, so that no task of it starts or runs.
        """
        dates = {"from_date": "2026-01-01T00:00:00Z", "to_date": f"2026-01-{days:02}T00:00:00Z"}
        with self._paused(DAILY):
            self.house.client.call(
                "POST", "/backfills", json={"dag_id": DAILY, "reprocess_behavior": "completed", **dates}
            )
        runs = self.house.client.call("GET", f"/dags/{DAILY}/dagRuns", params={"run_type": "backfill"})["dag_runs"]
        return [str(run["dag_run_id"]) for run in runs]

    @contextmanager
    def _paused(self, dag_id: str) -> Iterator[None]:
        busy = {"params": {"state": ["running", "queued"]}}
        client = self.house.client
        client.call("PATCH", f"/dags/{dag_id}", json={"is_paused": True})
        wait_until(lambda: not client.call("GET", f"/dags/{dag_id}/dagRuns/~/taskInstances", **busy)["total_entries"])
        yield
        client.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """Open the lake's tables."""
        before = dict(os.environ)
        os.environ.update(self.house.stack.environment())
        try:
            yield open_catalog(f"s3://{self.bucket}/lake", self.database)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def table(self, name: str) -> pa.Table:
        """Read a table."""
        with self.catalog() as catalog:
            return catalog.load_table((self.database, name)).scan().to_arrow()

    def uris(self, table: str) -> list[str]:
        """List the names under ``photos/`` of a table's photos, sorted; a duplicate shows."""
        prefix = f"s3://{self.bucket}/photos/"
        return sorted(uri.removeprefix(prefix) for uri in self.table(table)["uri"].to_pylist())

    def objects(self, prefix: str) -> list[str]:
        """List the keys under a prefix of the lake."""
        pages = self.house.aws("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        """Read an object."""
        return bytes(self.house.aws("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def clusters(self) -> list[dict[str, Any]]:
        """List the clusters that ever lived for this lake, oldest first, with all that DescribeCluster says."""
        emr = self.house.aws("emr")
        found = []
        for page in emr.get_paginator("list_clusters").paginate():
            for one in page["Clusters"]:
                cluster = emr.describe_cluster(ClusterId=one["Id"])["Cluster"]
                if tags(cluster).get("orchard:lake") == f"s3://{self.bucket}/lake":
                    found.append(cluster)
        return sorted(found, key=lambda one: one["Status"]["Timeline"]["CreationDateTime"])

    def steps(self, cluster_id: str) -> list[tuple[str, str]]:
        """List the first word of the name, and the state, of each step of a cluster, oldest first."""
        steps = self.house.aws("emr").list_steps(ClusterId=cluster_id)["Steps"]
        return [(one["Name"].split()[0], one["Status"]["State"]) for one in reversed(steps)]

    def assert_done_once(self, run: Run, photos: Iterable[str]) -> None:
        """Check that a run had one cluster ever, on it each step once, and has each photo once in the tables."""
        assert run.state == "success", run.told()
        (cluster,) = self.clusters()
        assert self.steps(cluster["Id"]) == [("extract", "COMPLETED"), ("reduce", "COMPLETED")]
        assert self.uris("embeddings") == self.uris("coordinates") == sorted(photos)


def tags(cluster: Mapping[str, Any]) -> dict[str, str]:
    """Return a cluster's tags as a dict."""
    return {tag["Key"]: tag["Value"] for tag in cluster["Tags"]}


def _find(root: psutil.Process, fits: Callable[[list[str]], bool]) -> psutil.Process | None:
    """Find the first process below one whose command fits."""
    for one in root.children(recursive=True):  # parents come before their children
        with contextlib.suppress(psutil.Error):  # it has gone
            if fits(one.cmdline()):
                return one
    return None


def wait_until(happens: Callable[[], Any], seconds: float = 120) -> None:
    """Wait until a function gives something true."""
    until = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until, f"Nothing after {seconds} s"
        time.sleep(0.3)


def sample(label: str, *numbers: int, size: int = 64) -> dict[str, bytes]:
    """Render sample photos: {``label/number.jpg``: bytes}."""
    photos = {}
    for number in numbers:
        buffer = io.BytesIO()
        render(label, number, size).save(buffer, "JPEG", quality=90)
        photos[f"{label}/{number}.jpg"] = buffer.getvalue()
    return photos


def labels(count: int) -> list[str]:
    """Return names of sample fruit."""
    return list(LABELS)[:count]
