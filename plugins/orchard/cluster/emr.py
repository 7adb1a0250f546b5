"""Emr: questions to EMR that its operators do not ask; each takes a boto3 client."""

import gzip
from collections.abc import Iterator, Mapping
from typing import Any

from orchard.aws import read_object
from orchard.cluster.request import DAG_TAG, LAKE_TAG, LIVE, OWNER_TAGS, RUN_TAG, from_tag

DONE, GOING = ("COMPLETED",), ("PENDING", "RUNNING")
FAILED = ("CANCEL_PENDING", "CANCELLED", "FAILED", "INTERRUPTED")
ENDED = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")


def live_clusters(client: Any, lake: str) -> Iterator[dict[str, Any]]:
    """Describe the live clusters of a lake, by their tag; ``Tags`` is a dict."""
    for page in client.get_paginator("list_clusters").paginate(ClusterStates=list(LIVE)):
        for summary in page["Clusters"]:
            if summary["Name"].startswith("orchard "):  # spares describing everybody's
                cluster = describe(client, summary["Id"])
                if cluster["Tags"].get(LAKE_TAG) == lake and cluster["Status"]["State"] in LIVE:
                    yield cluster


def find_cluster(client: Any, lake: str, dag_id: str, dag_run_id: str) -> dict[str, Any] | None:
    """Find the live cluster of a DAG's run: the newest, should there be two."""
    owner = {DAG_TAG: dag_id, RUN_TAG: dag_run_id}  # two DAGs on one lake may have runs of one name
    mine = [one for one in live_clusters(client, lake) if owner.items() <= one["Tags"].items()]
    return max(mine, key=lambda one: one["Status"]["Timeline"]["CreationDateTime"], default=None)


def describe(client: Any, cluster_id: str) -> dict[str, Any]:
    """Describe a cluster, its tags as a dict, and those of its owner as they were meant."""
    cluster: dict[str, Any] = client.describe_cluster(ClusterId=cluster_id)["Cluster"]
    tags = {tag["Key"]: tag.get("Value", "") for tag in cluster.get("Tags", ())}
    cluster["Tags"] = tags | {key: from_tag(tags[key]) for key in OWNER_TAGS if key in tags}
    return cluster


def find_step(client: Any, cluster_id: str, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the newest step of the same name and command that goes on, or has been done."""
    for page in client.get_paginator("list_steps").paginate(ClusterId=cluster_id):  # newest first
        for step in page["Steps"]:
            same = step["Name"] == wanted["Name"] and list(step["Config"]["Args"]) == wanted["HadoopJarStep"]["Args"]
            if same and step["Status"]["State"] in DONE + GOING:
                return dict(step)
    return None


def last_step_failed(client: Any, cluster_id: str) -> bool:
    """Say whether the newest step of a cluster failed, was cancelled or interrupted; an older one was tried again."""
    newest = client.list_steps(ClusterId=cluster_id)["Steps"][:1]
    return any(step["Status"]["State"] in FAILED for step in newest)


def gone(cluster: Mapping[str, Any]) -> str | None:
    """Say that and why a cluster is no more, or None."""
    status = cluster["Status"]
    if status["State"] not in ENDED:
        return None
    change = status.get("StateChangeReason", {})
    why = ": ".join(filter(None, (change.get("Code"), change.get("Message")))) or "no reason given"
    return f"Cluster {cluster['Id']} is {status['State']} ({why})"


def step_logs(cluster: Mapping[str, Any], step_id: str) -> str | None:
    """Return the address under which EMR puts a step's logs."""
    uri = cluster.get("LogUri")
    # EMR answers s3n:// for s3://.
    return f"s3://{uri.partition('://')[2].rstrip('/')}/{cluster['Id']}/steps/{step_id}/" if uri else None


def last_lines(s3: Any, address: str, lines: int = 40) -> str | None:
    """Read the end of a gzipped log, or None while it is not there."""
    try:
        data = read_object(s3, address)
    except FileNotFoundError:
        return None
    return "\n".join(gzip.decompress(data).decode("utf-8", "replace").splitlines()[-lines:])


def seconds(status: Mapping[str, Any], start: str, end: str) -> float | None:
    """Return the seconds between two marks of a timeline, or None where one is missing."""
    timeline = status.get("Timeline", {})
    if start not in timeline or end not in timeline:
        return None
    return float((timeline[end] - timeline[start]).total_seconds())
