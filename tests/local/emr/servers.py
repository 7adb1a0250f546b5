"""A local EMR in a process of its own, as the tests use it: over HTTP, with an ordinary client."""

import contextlib
import gzip
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config

from tests.artefacts import MAIN_PYTHON
from tests.conftest import REGION, Aws

REPOSITORY = Path(__file__).resolve().parents[3]
T = TypeVar("T")
ONE_NODE = {"MasterInstanceType": "m7g.xlarge", "InstanceCount": 1}


def until(what: Callable[[], T], seconds: float = 60) -> T:
    """Wait until something is true of the server; give it."""
    end = time.monotonic() + seconds
    while True:
        if found := what():
            return found
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.03)


def step(name: str, *args: str, jar: str = "command-runner.jar", action: str = "CONTINUE") -> dict[str, Any]:
    return {"Name": name, "ActionOnFailure": action, "HadoopJarStep": {"Jar": jar, "Args": list(args)}}


def shell(name: str, script: str, action: str = "CONTINUE") -> dict[str, Any]:
    return step(name, "bash", "-c", script, action=action)


class LocalEmr:
    """A running server.

    Attributes
    ----------
    emr : client
        Does not check requests itself, and does not try again.

    Parameters
    ----------
    by : sequence of str
        The program that starts it, such as one that makes it somebody else.
    """

    def __init__(self, aws: Aws, data: Path, *options: str, by: Sequence[str] = ()) -> None:
        self.aws = aws
        self.data = data
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [MAIN_PYTHON, "-m", "local.emr", "--port", "0", "--data", str(data), "--start-delay", "0"]
        with (data.parent / f"{data.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*by, *command, *options],
                cwd=REPOSITORY,
                env=kept | dict(aws.environment),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else ""
        assert line.startswith("Local EMR at http"), (data.parent / f"{data.name}.log").read_text()
        self.ready_line = line
        self.url = line.split()[3].rstrip(",")
        self.emr = boto3.client(
            "emr",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=30),
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.emr.close()
        return status

    def get(self, path: str) -> str:
        with urlopen(f"{self.url}{path}", timeout=90) as answer:
            return str(answer.read().decode())

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(f"{self.url}{path}", data, headers or {}, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    @contextlib.contextmanager
    def faults(self, *rules: dict[str, Any]) -> Iterator[None]:
        assert self.send("POST", "/_faults", rules) == (200, {"rules": len(rules)})
        try:
            yield
        finally:
            self.send("DELETE", "/_faults")

    def run(self, *steps: dict[str, Any], keep: bool = True, **request: Any) -> str:
        """Make a cluster; give its id."""
        instances = request.pop("Instances", ONE_NODE) | {"KeepJobFlowAliveWhenNoSteps": keep}
        instances |= request.pop("More", {})
        asked = {
            "Name": "test",
            "ReleaseLabel": "emr-7.14.0",
            "ServiceRole": "service",
            "JobFlowRole": "nodes",
            "Instances": instances,
            "Steps": list(steps),
        }
        return str(self.emr.run_job_flow(**asked | request)["JobFlowId"])

    def cluster(self, cluster: str) -> Any:
        return self.emr.describe_cluster(ClusterId=cluster)["Cluster"]

    def state(self, cluster: str) -> str:
        return str(self.cluster(cluster)["Status"]["State"])

    def steps(self, cluster: str) -> list[Any]:
        """Give all steps, in the order in which they were added."""
        return list(reversed(self.emr.list_steps(ClusterId=cluster)["Steps"]))

    def states(self, cluster: str) -> list[str]:
        return [each["Status"]["State"] for each in self.steps(cluster)]

    def until_state(self, cluster: str, *states: str) -> Any:
        """Wait for a state; give the whole status."""
        until(lambda: self.state(cluster) in states)
        return self.cluster(cluster)["Status"]

    def until_steps(self, cluster: str, states: Sequence[str], seconds: float = 60) -> None:
        """Wait until the steps have these states; fail as soon as they will not."""

        def so() -> bool:
            steps = self.steps(cluster)
            found = [each["Status"]["State"] for each in steps]
            over = not {"PENDING", "CANCEL_PENDING", "RUNNING"} & set(found)
            assert not over or found == list(states), [each["Status"] for each in steps]
            return found == list(states)

        until(so, seconds)

    def log(self, uri: str) -> str:
        """Read a log from S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = self.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return gzip.decompress(body).decode()

    def step_log(self, cluster: str, step_id: str, name: str = "stdout") -> str:
        """Read a step's log from the server's page."""
        return self.get(f"/clusters/{cluster}/steps/{step_id}/{name}")
