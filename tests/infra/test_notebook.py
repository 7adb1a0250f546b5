"""The notebook cluster: its request, its kernels, and the command on a local EMR."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from infra import notebook
from infra.environment import Environment
from infra.errors import InfraError
from infra.notebook_cluster import FOLDER, request, settings_of
from orchard.settings import Settings
from tests.conftest import Aws
from tests.local.emr.servers import LocalEmr
from tests.orchard.cluster.test_request import check

OUTPUTS = {
    "Lake": "s3://orchard-try-123456789012-eu-west-1/lake",
    "Photos": "s3://orchard-try-123456789012-eu-west-1/photos/",
    "Database": "orchard_try",
    "ServiceRole": "orchard-try-emr-service",
    "NodeProfile": "orchard-try-emr-node",
    "SecurityConfiguration": "orchard-try",
    "PrimarySecurityGroup": "sg-1",
    "CoreSecurityGroup": "sg-2",
    "ServiceSecurityGroup": "sg-3",
    "Subnets": "subnet-1,subnet-2",
    "NotebookRole": "orchard-try-notebook",
    "NotebookSecurityConfiguration": "orchard-try-notebook",
}
WHEELS = "s3://orchard-try-123456789012-eu-west-1/lake/bootstrap/" + 64 * "a"


def settings(**changes: Any) -> Settings:
    return settings_of(Environment(name="try"), OUTPUTS, WHEELS, 60).but(**changes)


def test_the_request() -> None:
    made = request(settings(), "try")
    check("RunJobFlow", made)
    assert made["Name"] == "orchard-notebook try"
    assert made["ReleaseLabel"] == "emr-7.14.0"
    assert made["Applications"] == [
        {"Name": "Spark"},
        {"Name": "Livy"},
        {"Name": "JupyterHub"},
        {"Name": "JupyterEnterpriseGateway"},
    ]
    assert made["Configurations"][-1] == {
        "Classification": "jupyter-s3-conf",
        "Properties": {
            "s3.persistence.enabled": "true",
            "s3.persistence.bucket": "orchard-try-123456789012-eu-west-1",
        },
    }
    assert made["AutoTerminationPolicy"] == {"IdleTimeout": 3600}
    assert made["Tags"] == [
        {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"},
        {"Key": "orchard:environment", "Value": "try"},
        {"Key": "orchard:keep", "Value": "to explore"},
        {"Key": "orchard:lake", "Value": "s3://orchard-try-123456789012-eu-west-1/lake"},
    ]
    assert (made["JobFlowRole"], made["SecurityConfiguration"]) == ("orchard-try-notebook", "orchard-try-notebook")
    assert made["BootstrapActions"][0]["ScriptBootstrapAction"] == {"Path": f"{WHEELS}/install.sh", "Args": [WHEELS]}
    (kernels,) = made["Steps"]
    assert kernels["ActionOnFailure"] == "CONTINUE"
    assert kernels["HadoopJarStep"]["Args"][3:] == [
        "s3://orchard-try-123456789012-eu-west-1/lake/code/kernels.sh",
        WHEELS,
    ]


def test_emr_studio_may_be_attached() -> None:
    made = request(settings(), "try", "sg-0123456789abcdef0")
    check("RunJobFlow", made)
    assert made["Instances"]["AdditionalMasterSecurityGroups"] == ["sg-0123456789abcdef0"]
    assert "AdditionalMasterSecurityGroups" not in request(settings(), "try")["Instances"]


def test_a_release_without_jupyterhub() -> None:
    environment = Environment(name="try", settings={"release": "emr-spark-8.1.0"})
    with pytest.raises(InfraError, match=r"emr-spark-8\.1\.0 has no JupyterHub: expected a release emr-7.*EMR Studio"):
        settings_of(environment, OUTPUTS, WHEELS, 60)


def test_a_stack_without_it() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if not name.startswith("Notebook")}
    with pytest.raises(InfraError, match="orchard-try has no NotebookRole and no NotebookSecurityConfiguration: set"):
        settings_of(Environment(name="try"), outputs, WHEELS, 60)


@pytest.fixture
def emr(aws_server: Aws, tmp_path: Path) -> Iterator[LocalEmr]:
    server = LocalEmr(aws_server, tmp_path / "emr")
    yield server
    assert server.stop() == 0


def test_the_command(
    aws: Aws, bucket: str, emr: LocalEmr, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the stack to a cluster that waits; the second time it is found, the notebook in it left alone."""
    s3, lake = aws.client("s3"), f"s3://{bucket}/lake"
    outputs = OUTPUTS | {"Lake": lake, "Photos": f"s3://{bucket}/photos/"}
    template = {
        "Resources": {
            "StudioEngineSecurityGroup": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {"GroupDescription": "What the Studio may speak to"},
            }
        },
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName="orchard-try", TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName="orchard-try", WaiterConfig={"Delay": 1})
    s3.put_object(Bucket=bucket, Key=f"lake/bootstrap/{64 * 'a'}/install.sh", Body=b"exit 0")
    s3.put_object(Bucket=bucket, Key=f"lake/bootstrap/{64 * 'a'}/SHA256SUMS", Body=b"")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", emr.url)
    monkeypatch.setattr(notebook, "read", lambda name: Environment(name=name))
    monkeypatch.setattr(notebook.time, "sleep", lambda _: None)
    try:
        assert notebook.main(["try", "--idle-minutes", "10"]) == 0
        first = capsys.readouterr().out
        (listed,) = emr.emr.list_clusters(ClusterStates=["RUNNING", "WAITING"])["Clusters"]
        cluster = emr.cluster(listed["Id"])
        assert cluster["Name"] == "orchard-notebook try"
        assert [one["Name"] for one in cluster["Applications"]] == [
            "Spark",
            "Livy",
            "JupyterHub",
            "JupyterEnterpriseGateway",
        ]
        group = stacks.list_stack_resources(StackName="orchard-try")["StackResourceSummaries"][0]["PhysicalResourceId"]
        assert cluster["Ec2InstanceAttributes"]["AdditionalMasterSecurityGroups"] == [group]
        primary = emr.emr.list_instances(ClusterId=listed["Id"], InstanceFleetType="MASTER")["Instances"][0]
        assert f"Cluster {listed['Id']}: 1 primary and 1 core m5.xlarge, $" in first
        assert (
            f"aws ssm start-session --region eu-west-1 --target {primary['Ec2InstanceId']} --document-name "
            "AWS-StartPortForwardingSession --parameters portNumber=9443,localPortNumber=9443\n"
        ) in first
        assert f"aws emr terminate-clusters --region eu-west-1 --cluster-ids {listed['Id']}\n" in first
        mine = s3.get_object(Bucket=bucket, Key="jupyter/jovyan/explore.ipynb")["Body"].read()
        cells = nbformat.reads(mine.decode(), as_version=4).cells
        assert cells[3].source == f'LAKE = "{lake}"\nDATABASE = "orchard_try"\nREGION = "eu-west-1"'
        script = s3.get_object(Bucket=bucket, Key="lake/code/kernels.sh")["Body"].read()
        assert script == (FOLDER / "kernels.sh").read_bytes()

        s3.put_object(Bucket=bucket, Key="jupyter/jovyan/explore.ipynb", Body=b"mine")
        assert notebook.main(["try"]) == 0
        assert f"Cluster {listed['Id']} is there already." in capsys.readouterr().out
        emr.emr.terminate_job_flows(JobFlowIds=[listed["Id"]])
        emr.until_state(listed["Id"], "TERMINATED")
        assert notebook.main(["try"]) == 0
        assert "/jupyter/jovyan/explore.ipynb is there, and stays as it is." in capsys.readouterr().out
        assert s3.get_object(Bucket=bucket, Key="jupyter/jovyan/explore.ipynb")["Body"].read() == b"mine"
    finally:
        stacks.delete_stack(StackName="orchard-try")


def test_without_a_stack(aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(notebook, "read", lambda name: Environment(name=name))
    assert notebook.main(["nowhere"]) == 2
    assert capsys.readouterr().err == "error: There is no stack orchard-nowhere: `make deploy ENV=nowhere` first.\n"


def test_it_says_nothing_that_is_airflows(aws: Aws, tmp_path: Path) -> None:
    """By itself, as `make notebook-cluster` runs it: Airflow's log would tell where credentials were found."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    done = subprocess.run(
        [sys.executable, "-m", "infra.notebook", "local"],
        env={**own, "AIRFLOW_HOME": str(tmp_path / "airflow")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: There is no stack orchard-local: `make deploy ENV=local` first.\n"


@pytest.mark.parametrize(
    ("offline", "online", "said"),
    [
        (0, 1, "JupyterHub's Python 3 has the nodes' packages"),
        (1, 0, "JupyterHub's Python 3 has the nodes' packages, from the package index"),
        (1, 1, "FAILED: JupyterHub's Python 3.9.9 takes neither the nodes' wheels (Python 3.11) nor anything"),
    ],
)
def test_kernels(tmp_path: Path, offline: int, online: int, said: str) -> None:
    """A real kernel for EMR Studio; the container of JupyterHub is only played."""
    tools, wheels, log = tmp_path / "bin", tmp_path / "wheels.tar", tmp_path / "log"
    (tmp_path / "some.whl").write_text("a wheel")
    with tarfile.open(wheels, "w") as tar:
        tar.add(tmp_path / "some.whl", "some.whl")
    tools.mkdir()
    hub = f"""case "$*" in *-V*) echo Python 3.9.9;; *--no-index*) exit {offline};; *) exit {online};; esac"""
    for tool, script in {
        "sudo": 'exec "$@"',
        "docker": f'echo "$*" >>{shlex.quote(str(log))}\n{hub}',
        "aws": f'[ "$4" = {WHEELS}/wheels-$(uname -m).tar ] && cat {shlex.quote(str(wheels))}',
    }.items():
        (tools / tool).write_text(f"#!/bin/bash\n{script}\n")
        (tools / tool).chmod(0o755)
    shared, studio = tmp_path / "shared", tmp_path / "studio"
    done = subprocess.run(
        ["bash", str(FOLDER / "kernels.sh"), WHEELS],
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "ORCHARD_PREFIX": sys.prefix,
            "ORCHARD_STUDIO": str(studio),
            "ORCHARD_SHARED": str(shared),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == offline * online, done.stderr
    assert said in done.stdout
    kernel = json.loads((studio / "share/jupyter/kernels/orchard/kernel.json").read_text())
    assert (kernel["display_name"], Path(kernel["argv"][0]).parent) == ("Orchard", Path(sys.prefix, "bin"))
    assert shutil.which(kernel["argv"][0])
    assert (shared / "some.whl").read_text() == "a wheel"
    names = [line.partition("==")[0] for line in (shared / "notebook.txt").read_text().splitlines()]
    assert names == ["boto3", "matplotlib", "numpy", "pandas", "pillow", "pyarrow", "pyiceberg", "sqlalchemy"]
    assert log.read_text().splitlines()[0] == (
        f"exec jupyterhub python3 -m pip install --quiet --no-index --find-links {shared} "
        f"--requirement {shared}/notebook.txt"
    )
