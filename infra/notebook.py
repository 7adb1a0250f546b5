"""Notebook: a cluster to explore the lake on, with JupyterHub; it ends itself when nobody uses it.

``python -m infra.notebook prod`` rents it, or finds the one that lives, and says how to reach it. It reads the lake
under a role of its own, which may change nothing there, and is no run's: the reaper leaves it alone.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # What comes imports Airflow, whose log is nobody's business here, nor is a home that it would make in the user's.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("AIRFLOW_HOME", str(Path(".orchard/airflow").absolute()))

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.environment import read
from infra.errors import InfraError
from infra.notebook_cluster import FOLDER, name, notebook, request, scripts, settings_of
from infra.stack import Stack
from orchard.aws import exists, split, write_object
from orchard.cluster.emr_rules import EmrRuleError
from orchard.cluster.request import LIVE
from orchard.prices.price_list import dollars
from orchard.settings import Settings, SettingsError

PORT = 9443  # JupyterHub's
USER = "jovyan"  # JupyterHub's first user, whose notebooks lie under jupyter/jovyan/ of the bucket

Tell = Callable[[str], None]


def start(settings: Settings, environment: str, studio: str | None, emr: Any, s3: Any, tell: Tell) -> str:
    """Rent the cluster, unless it lives; return its id."""
    if alive := living(emr, environment):
        tell(f"Cluster {alive} is there already.")
        return alive
    wanted = request(settings, environment, studio)
    write_object(s3, scripts(settings), (FOLDER / "kernels.sh").read_bytes(), "text/x-shellscript")
    mine = f"s3://{split(settings.root)[0]}/jupyter/{USER}/explore.ipynb"
    if exists(s3, mine):
        tell(f"{mine} is there, and stays as it is.")
    else:
        write_object(s3, mine, notebook(settings), "application/x-ipynb+json")
    price = dollars(settings.region, settings.types[0], settings.ebs_gib, 3600, nodes=2)
    an_hour = "" if price is None else f", ${price:.2f} an hour"
    cluster = str(emr.run_job_flow(**wanted)["JobFlowId"])
    tell(f"Cluster {cluster}: 1 primary and 1 core {settings.types[0]}{an_hour}; it ends after "
         f"{settings.idle_minutes} idle minutes.")  # fmt: skip
    return cluster


def studio_group(stack: Stack) -> str | None:
    """Find the security group that the stack's EMR Studio may speak to, if it has one."""
    found = [one for one in stack.resources() if one["LogicalResourceId"] == "StudioEngineSecurityGroup"]
    return str(found[0]["PhysicalResourceId"]) if found else None


def living(emr: Any, environment: str) -> str | None:
    """Find the environment's notebook cluster that lives."""
    for page in emr.get_paginator("list_clusters").paginate(ClusterStates=list(LIVE)):
        for one in page["Clusters"]:
            if one["Name"] == name(environment):
                return str(one["Id"])
    return None


def wait(emr: Any, cluster: str, tell: Tell, pause: float = 15.0) -> str:
    """Wait until the cluster can be used; return the EC2 id of its primary node.

    Raises
    ------
    InfraError
        It ended before; with EMR's reason.
    """
    seen = None
    while True:
        status = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]
        if status["State"] != seen:
            seen = status["State"]
            tell(f"  {seen}")
        if seen not in LIVE:
            why = status.get("StateChangeReason", {})
            raise InfraError(f"Cluster {cluster} is {seen}: {why.get('Message') or why.get('Code', 'no reason given')}")
        if seen in ("RUNNING", "WAITING"):
            break
        time.sleep(pause)
    kept = emr.describe_cluster(ClusterId=cluster)["Cluster"]["InstanceCollectionType"]
    of = {"InstanceFleetType": "MASTER"} if kept == "INSTANCE_FLEET" else {"InstanceGroupTypes": ["MASTER"]}
    (primary,) = emr.list_instances(ClusterId=cluster, InstanceStates=["RUNNING"], **of)["Instances"]
    return str(primary["Ec2InstanceId"])


def how_to_reach(settings: Settings, cluster: str, instance: str) -> str:
    """Say how to reach JupyterHub, Spark's pages, a shell; and how to end the cluster."""
    region = f"--region {settings.region}"
    forward = f"aws ssm start-session {region} --target {instance} --document-name AWS-StartPortForwardingSession"
    return f"""
JupyterHub (log in as {USER}, password jupyter; change it there: docs/explore.md), as long as this command runs:
  {forward} --parameters portNumber={PORT},localPortNumber={PORT}
  https://localhost:{PORT}/user/{USER}/notebooks/explore.ipynb   (its certificate is its own: the browser asks)
Spark's history: likewise with portNumber=18080,localPortNumber=18080, then http://localhost:18080
A shell on the primary node:
  aws ssm start-session {region} --target {instance}
End it (its notebooks stay in s3://{split(settings.root)[0]}/jupyter/):
  aws emr terminate-clusters {region} --cluster-ids {cluster}
"""


def newest_wheelhouse(s3: Any, lake: str) -> str | None:
    """Find the wheelhouse that was staged last, by the object that is put last."""
    bucket, prefix = split(f"{lake}/bootstrap/")
    found = [
        one
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for one in page.get("Contents", ())
        if one["Key"].endswith("/SHA256SUMS")
    ]
    newest = max(found, key=lambda one: one["LastModified"], default=None)
    return None if newest is None else f"s3://{bucket}/{newest['Key'].rpartition('/')[0]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Rent it and say how to reach it."""
    parser = argparse.ArgumentParser(prog="python -m infra.notebook", description=__doc__)
    parser.add_argument("environment", metavar="ENV", help="environment, as it was deployed")
    parser.add_argument("--idle-minutes", type=int, default=60, help="after which it ends itself (default: 60)")
    args = parser.parse_args(argv)
    try:
        environment = read(args.environment)
        session = boto3.Session(region_name=environment.region)
        emr, s3 = session.client("emr"), session.client("s3")
        stack = Stack(session.client("cloudformation"), environment.stack, environment.name)
        outputs = stack.outputs()
        if not outputs:
            raise InfraError(f"There is no stack {environment.stack}: `make deploy ENV={environment.name}` first.")
        bootstrap = newest_wheelhouse(s3, outputs["Lake"].rstrip("/"))
        settings = settings_of(environment, outputs, bootstrap, args.idle_minutes)
        cluster = start(settings, environment.name, studio_group(stack), emr, s3, _tell)
        print(how_to_reach(settings, cluster, wait(emr, cluster, _tell)))
    except (InfraError, EmrRuleError, SettingsError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
