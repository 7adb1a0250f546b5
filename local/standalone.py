"""Standalone: an Airflow on this machine for the demo and the tests, and the few of its REST calls that they need."""

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local.guarded import Guarded
from local.stack import free_port

_ROOT = Path(__file__).parent.parent
_TRIES = 10  # of a call that Airflow's server could not answer
_START_SECONDS = 300
USER = "admin"


# A task is a fork of the scheduler: what all of them import is imported once, there. None of it is ours, so that a
# task runs the code that is there when it starts.
_PRELOAD = """
import sys

if "scheduler" in sys.argv:
    import boto3
    import duckdb
    import pyiceberg.catalog.glue
    import airflow.providers.amazon.aws.operators.emr
    import airflow.providers.amazon.aws.sensors.emr
    import airflow.providers.standard.operators.empty
"""


class AirflowError(RuntimeError):
    """Airflow did not start, or refused a call."""


@dataclass(frozen=True)
class Standalone:
    """An Airflow in a folder of its own: its four services, kept up by `local.services`, with SQLite.

    Attributes
    ----------
    home : Path
        AIRFLOW_HOME, made when missing.
    environment : Mapping
        More variables, such as those of AWS and of Orchard's settings.
    dags : Path
        Folder of the DAG files.
    """

    home: Path
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    dags: Path = _ROOT / "dags"

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def password(self) -> str:
        """The password of `USER`, made at the first start."""
        return str(json.loads(self._passwords.read_text())[USER])

    @property
    def _passwords(self) -> Path:
        return self.home / "passwords.json"

    def settings(self) -> dict[str, str]:
        """Return the whole environment of its processes."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))}
        airflow = {
            "CORE__DAGS_FOLDER": str(self.dags),
            "CORE__PLUGINS_FOLDER": str(_ROOT / "plugins"),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__PARALLELISM": "4",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords),
            "API__PORT": str(self.port),
            "API__HOST": "127.0.0.1",
            "API__BASE_URL": self.url,
            "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": self._secret("jwt"),
            "API__SECRET_KEY": self._secret("api"),
            "CORE__FERNET_KEY": "",  # nothing secret is stored
            # These two would listen on fixed ports.
            "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "TRIGGERER__TRIGGERER_LOG_SERVER_PORT": str(free_port()),
            "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
            # All start at once, and a slow machine's API may be up half a minute after the scheduler: a task that was
            # interrupted is started again at once, and would fail for good after eight seconds.
            "WORKERS__EXECUTION_API_RETRIES": "8",
            "WORKERS__EXECUTION_API_TIMEOUT": "30",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
            "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            # Runs are triggered by hand here; by itself Airflow would start today's as soon as the DAG is unpaused.
            "SCHEDULER__USE_JOB_SCHEDULE": "False",
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
        # Python's proxy settings would be asked by every fork on macOS; gunicorn and sqlite want little.
        return {
            **own,
            "PATH": path,
            "AIRFLOW_HOME": str(self.home),
            **{f"AIRFLOW__{name}": value for name, value in airflow.items()},
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            **self.environment,
        }

    def _secret(self, name: str) -> str:
        path = self.home / f"{name}.secret"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            path.write_text(secrets.token_urlsafe(32))
            path.chmod(0o600)
        return path.read_text()

    @contextmanager
    def running(self) -> Iterator["Client"]:
        """Start it; stop all of its processes in the end.

        Raises
        ------
        AirflowError
            It ended, or was not healthy in time; with the end of its log.
        """
        process = self.start()
        try:
            yield self.wait(process)
        finally:
            self.stop(process)

    @property
    def log_file(self) -> Path:
        """What all of its services say."""
        return self.home / "standalone.log"

    @property
    def _news(self) -> Path:
        return self.home / "services.txt"

    def news(self) -> list[str]:
        """Return what became of its services: each that died, and was started again, a line."""
        return self._news.read_text(errors="replace").splitlines() if self._news.exists() else []

    def start(self) -> Guarded:
        """Start it without waiting."""
        environment = self.settings()  # makes the folder
        (self.home / "config").mkdir(exist_ok=True)
        (self.home / "config" / "airflow_local_settings.py").write_text(_PRELOAD)
        command = [sys.executable, "-m", "local.services", str(self.log_file)]
        return Guarded.start(command, _ROOT, environment, self.log_file, self._news)

    def wait(self, process: Guarded) -> "Client":
        """Wait until all of its services are healthy."""
        until = time.monotonic() + _START_SECONDS
        state: Any = "no answer"
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                state = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
                services = ("metadatabase", "scheduler", "triggerer", "dag_processor")
                if all(state[one]["status"] == "healthy" for one in services):
                    return Client.log_in(self.url, USER, self.password)
            time.sleep(0.5)
        log = self.log_file.read_text(errors="replace")
        raise AirflowError(f"Airflow is not healthy ({state}). The end of {self.log_file}:\n{log[-4000:]}")

    def stop(self, process: Guarded, seconds: float = 30.0) -> None:
        """Stop it and everything that it started, its own way for so long."""
        process.stop(seconds, b"I")


@dataclass(frozen=True)
class Client:
    """Airflow's REST API, as one user."""

    url: str
    http: httpx.Client

    @classmethod
    def log_in(cls, url: str, user: str, password: str) -> "Client":
        """Get a token."""
        answer = httpx.post(f"{url}/auth/token", json={"username": user, "password": password}, timeout=30)
        if answer.status_code != 201:
            raise AirflowError(f"Log-in at {url}: {answer.status_code} {answer.text}")
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return cls(url, httpx.Client(base_url=f"{url}/api/v2", headers=headers, timeout=60))

    def call(self, method: str, path: str, **given: Any) -> Any:
        """Call, and return the answer's JSON (or text, where it is none).

        SQLite has one writer: where several runs begin at once, Airflow answers 500 now and then, having done nothing.
        """
        for attempt in range(_TRIES):
            answer = self.http.request(method, path, **given)
            if not answer.is_server_error or attempt + 1 == _TRIES:
                break
            time.sleep(1 + attempt)
        if answer.is_error:
            raise AirflowError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        if answer.content and answer.headers.get("content-type", "").startswith("application/json"):
            return answer.json()
        return answer.text

    def wait_for_dag(self, dag_id: str, seconds: float = 120) -> None:
        """Wait until the DAG is parsed, and unpause it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(AirflowError):
                self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
                return
            time.sleep(1)
        errors = self.call("GET", "/importErrors")["import_errors"]
        raise AirflowError(f"Airflow does not know {dag_id}; its import errors: {errors}")

    def trigger(self, dag_id: str, run_id: str | None = None, **params: Any) -> str:
        """Start a run; return its id."""
        body: dict[str, Any] = {"logical_date": None, "conf": params}
        if run_id is not None:
            body["dag_run_id"] = run_id
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Describe a run."""
        return dict(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Describe a run's tasks, by their id."""
        found = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {one["task_id"]: one for one in found}

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Read a task's log as text."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        return str(self.call("GET", path, params={"full_content": "true"}, headers={"Accept": "application/x-ndjson"}))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Read what a task returned or left."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path)["value"]
