"""The command line, and what stops the server from starting."""

import json
import os
import socket
from pathlib import Path

import pytest

from local.emr.__main__ import main
from tests.conftest import Aws
from tests.local.emr.servers import LocalEmr, shell


def test_the_line_when_it_is_ready(local_emr: LocalEmr) -> None:
    data, s3 = local_emr.data, local_emr.aws.url
    assert local_emr.ready_line == f"Local EMR at {local_emr.url}, data in {data}, S3: {s3}\n"


def test_a_port_in_use(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port), "--data", str(tmp_path)]) == 2
    error = capfd.readouterr().err
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in error
    assert "Try another --port." in error


def test_data_in_use(local_emr: LocalEmr, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", "--data", str(local_emr.data)]) == 2
    assert f"Another local EMR runs on {local_emr.data}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--throttle", "2"], "throttle is 2.0, expected a share between 0 and 1"),
        (["--slots", "0"], "slots is 0, expected 1 or more"),
        (["--idle-speed", "0"], "idle-speed is 0.0, expected more than 0"),
        (["--start-delay", "-1"], "start-delay is -1.0, expected 0 or more seconds"),
        (["--jars-dir", "no/such"], "jars-dir is no/such, which is no folder"),
    ],
)
def test_options_that_make_no_sense(
    options: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", "--data", str(tmp_path / "data"), *options]) == 2
    assert message in capfd.readouterr().err


def test_policies_cannot_be_asked_for_without_credentials(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert main(["--port", "0", "--data", str(tmp_path / "data"), "--iam-endpoint", "http://127.0.0.1:1"]) == 2
    error = capfd.readouterr().err
    assert "iam-endpoint is http://127.0.0.1:1, and there are no credentials to ask it with" in error
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in error


def test_a_cluster_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clusters" / "j-1" / "cluster.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"id": "j-1", "bananas": 3}))
    assert main(["--port", "0", "--data", str(tmp_path)]) == 2
    assert f"{path} cannot be read" in capfd.readouterr().err


def test_logs_that_come_late(aws: Aws, bucket: str, tmp_path: Path) -> None:
    server = LocalEmr(aws, tmp_path / "data", "--log-delay", "300", "--stop-delay", "0.1")
    cluster = server.run(shell("one", "echo one"), LogUri=f"s3://{bucket}/logs")
    server.until_state(cluster, "WAITING")
    uri = f"s3://{bucket}/logs/{cluster}/steps/{server.steps(cluster)[0]['Id']}/stdout.gz"
    with pytest.raises(Exception, match="NoSuchKey"):
        server.log(uri)
    server.emr.terminate_job_flows(JobFlowIds=[cluster])  # then they come at once
    server.until_state(cluster, "TERMINATED")
    assert server.log(uri) == "one\n"
    assert server.stop() == 0
