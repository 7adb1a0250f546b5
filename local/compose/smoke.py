"""Smoke test of docker-compose.yaml and the Dockerfile, with a real engine: build, start, run the DAG, tear down.

Under a project name and on ports of its own, beside whatever else runs here. Where no engine can be had it says why,
and passes.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pyiceberg.catalog import load_catalog

from local.stack import REGION, free_port
from local.standalone import USER, AirflowError, Client

DAG = "orchard_daily"
_ROOT = Path(__file__).parents[2]
IMAGES = ("apache/airflow:3.3.2", "postgres:16")  # what the Dockerfile and the compose file pull
_START_SECONDS = 600  # machines with two cores are slow
_RUN_SECONDS = 600
_NOT_DUE = {"maintain", "maintained"}  # tasks, of a lake that was just made


class NoEngineError(RuntimeError):
    """Nothing here can run containers, or get the images."""


class SmokeError(RuntimeError):
    """Something does not work."""


@dataclass(frozen=True)
class Compose:
    """One project of docker-compose.

    Attributes
    ----------
    command : tuple of str
        ``docker compose`` or ``docker-compose``, with the project's name.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]

    def show(self, *args: str, seconds: float = 60) -> None:
        """Run a command, with its output for the reader."""
        done = subprocess.run(
            [*self.command, *args], cwd=_ROOT, env=dict(self.environment), check=False, timeout=seconds
        )
        if done.returncode != 0:
            raise SmokeError(f"{' '.join([*self.command, *args])} ended with {done.returncode}")

    def read(self, *args: str, seconds: float = 60) -> str:
        """Run a command; return its output."""
        return _read([*self.command, *args], seconds, self.environment)

    def containers(self) -> list[dict[str, Any]]:
        """Describe all containers as the engine does, ended ones too."""
        ids = self.read("ps", "--all", "--quiet").split()
        return list(json.loads(_read(["docker", "inspect", *ids]))) if ids else []


def find_compose() -> tuple[str, ...]:
    """Find an engine that runs and has the images, and the compose that talks to it.

    Raises
    ------
    NoEngineError
        With what is missing.
    """
    if shutil.which("docker") is None:
        raise NoEngineError("docker is not installed")
    try:
        _read(["docker", "info", "--format", "{{.ServerVersion}}"], 30)
    except SmokeError as error:
        raise NoEngineError(f"no Docker engine answers ({str(error).splitlines()[-1]})") from None
    for command in (("docker", "compose"), ("docker-compose",)):
        try:
            _read([*command, "version"])
        except SmokeError:
            continue
        break
    else:
        raise NoEngineError("neither docker compose nor docker-compose is installed")
    for image in IMAGES:
        try:
            _read(["docker", "image", "inspect", image])
        except SmokeError:
            try:
                _read(["docker", "pull", "--quiet", image], 300)
            except SmokeError as error:
                reason = str(error).splitlines()[-1]
                raise NoEngineError(f"{image} is not here and cannot be pulled ({reason})") from None
    return command


@contextmanager
def running(compose: Compose) -> Iterator[None]:
    """Start all services; in the end remove them with all they stored, after showing their logs if anything failed."""
    try:
        compose.show("up", "--detach", seconds=_START_SECONDS)
        wait_until_healthy(compose)
        yield
    except (Exception, KeyboardInterrupt):
        compose.show("ps", "--all")
        compose.show("logs", "--no-color", "--tail=80")
        raise
    finally:
        compose.show("down", "--volumes", "--remove-orphans", "--timeout=15", seconds=180)


def wait_until_healthy(compose: Compose) -> None:
    """Wait until every service is healthy, and what was to end has ended well."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        states = {one["Name"]: one["State"] for one in compose.containers()}
        failed = [name for name, state in states.items() if state["Status"] == "exited" and state["ExitCode"] != 0]
        if failed:
            raise SmokeError(f"Ended by itself: {', '.join(failed)}")
        if all(state.get("Health", {}).get("Status", state["Status"]) in ("healthy", "exited")
               for state in states.values()):  # fmt: skip
            return
        time.sleep(1)
    raise SmokeError(f"Not healthy after {_START_SECONDS} s: {json.dumps(states, indent=1)[:4000]}")


def check_containers(compose: Compose, known: Sequence[str]) -> None:
    """Check what must hold for a machine that others reach: loopback only, no root, no secret where all can read it."""
    for one in compose.containers():
        name = one["Name"]
        bindings = [binding for found in (one["HostConfig"]["PortBindings"] or {}).values() for binding in found]
        if any(binding["HostIp"] != "127.0.0.1" for binding in bindings):
            raise SmokeError(f"{name} listens on more than loopback: {bindings}")
        if any(secret in json.dumps(one) for secret in known):
            raise SmokeError(f"{name} shows a secret to `docker inspect`")
        if not one["Config"]["Image"].startswith("postgres") and one["Config"]["User"] in ("", "root", "0"):
            raise SmokeError(f"{name} runs as root")


def run_dag(client: Client) -> None:
    """Let the DAG do the photos, and then find that there is nothing left to do."""
    client.wait_for_dag(DAG)  # and unpause it: Airflow starts the day's run
    until = time.monotonic() + _RUN_SECONDS
    while not (runs := client.call("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]):
        if time.monotonic() > until:
            raise SmokeError("Airflow starts no run of the day")
        time.sleep(2)
    states = finish(client, runs[0]["dag_run_id"])
    done = {task for task, state in states.items() if state == "success"}
    if done != states.keys() - _NOT_DUE or {states[task] for task in _NOT_DUE} != {"skipped"}:
        raise SmokeError(f"The first run did not do everything: {states}")
    states = finish(client, client.trigger(DAG))
    if states["find_new_photos"] != "success" or states["create_cluster"] != "skipped":
        raise SmokeError(f"The second run should have found nothing new: {states}")


def finish(client: Client, run_id: str) -> dict[str, str]:
    """Wait for a run; return the states of its tasks.

    Raises
    ------
    SmokeError
        It did not succeed; the logs of what failed were printed.
    """
    until = time.monotonic() + _RUN_SECONDS
    while (state := client.run(DAG, run_id)["state"]) in ("queued", "running") and time.monotonic() < until:
        time.sleep(2)
    tasks = client.tasks(DAG, run_id)
    states = {name: str(one["state"]) for name, one in tasks.items()}
    print(f"{run_id}: {state}; {', '.join(f'{name} {one}' for name, one in states.items())}", flush=True)
    if state != "success":
        for name, one in tasks.items():
            if one["try_number"] and states[name] not in ("success", "upstream_failed"):
                print(f"--- {name}\n{client.log(DAG, run_id, name, one['try_number'])[-6000:]}", flush=True)
        raise SmokeError(f"The run {run_id} is {state}")
    return states


def check_tables(s3: str) -> None:
    """Check that the lake holds what the run was to make of the photos."""
    settings = {"s3.endpoint": s3, "s3.region": REGION, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
    glue = {"glue.endpoint": s3, "glue.region": REGION, "glue.access-key-id": "test", "glue.secret-access-key": "test"}
    lake = load_catalog("lake", type="glue", **settings, **glue)
    rows = {name: lake.load_table(f"orchard.{name}").scan().to_arrow().num_rows for name in
            ("batches", "embeddings", "rejects", "coordinates", "recognisers", "runs")}  # fmt: skip
    print("Rows: " + ", ".join(f"{name} {count}" for name, count in rows.items()), flush=True)
    photos = rows["batches"]
    expected = {"embeddings": photos - rows["rejects"], "coordinates": photos - rows["rejects"], "runs": 1}
    if not photos or any(rows[name] != count for name, count in expected.items()):
        raise SmokeError(f"Expected {expected} and photos in batches, got {rows}")


def smoke(command: Sequence[str]) -> None:
    """Build, start, check, run the DAG, check again, tear down."""
    ui, s3, emr = free_port(), free_port(), free_port()
    environment = {
        **os.environ,
        "ORCHARD_UI_PORT": str(ui),
        "ORCHARD_S3_PORT": str(s3),
        "ORCHARD_EMR_PORT": str(emr),
    }
    project = ("--project-name", f"orchard-smoke-{secrets.token_hex(4)}")
    compose = Compose((*command, *project), environment)
    clock = Clock()
    compose.show("build", "local", "api-server", seconds=1800)  # of those with the same image, one each
    clock.tell("built")
    with running(compose):
        clock.tell(f"started, Airflow at http://localhost:{ui}")
        password = json.loads(compose.read("exec", "-T", "api-server", "cat", "/settings/users.json"))[USER]
        database = compose.read("exec", "-T", "api-server", "cat", "/settings/postgres_password").strip()
        check_containers(compose, [password, database])
        client = Client.log_in(f"http://localhost:{ui}", USER, password)
        run_dag(client)
        clock.tell("ran the DAG twice")
        check_tables(f"http://127.0.0.1:{s3}")
    clock.tell("torn down")


class Clock:
    """Says how long each part took."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def tell(self, what: str) -> None:
        """Print what is done, and its seconds."""
        now = time.monotonic()
        print(f"smoke: {what} ({now - self._last:.0f} s)", flush=True)
        self._last = now


def main(argv: Sequence[str] | None = None) -> int:
    """Run the smoke test where an engine can be had; return 0 if it passed, or if there is none."""
    parser = argparse.ArgumentParser(prog="python -m local.compose.smoke", description=__doc__)
    parser.parse_args(argv)
    try:
        command = find_compose()
    except NoEngineError as error:
        print(f"smoke: SKIPPED, docker-compose.yaml was not tried: {error}.")
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        smoke(command)
    except (SmokeError, AirflowError) as error:
        print(f"smoke: FAILED: {error}", file=sys.stderr)
        return 1
    print("smoke: passed")
    return 0


def _read(command: Sequence[str], seconds: float = 60, environment: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env=environment and dict(environment),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SmokeError(f"{' '.join(command)}: {error}") from None
    if done.returncode != 0:
        raise SmokeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
