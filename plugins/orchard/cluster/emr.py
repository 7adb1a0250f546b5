"""Emr: questions to EMR that its operators do not ask; each takes a boto3 client."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from orchard.cluster.request import DAG_TAG, LAKE_TAG, LIVE, OWNER_TAGS, RUN_TAG, from_tag

DONE, GOING = ("COMPLETED",), ("PENDING", "RUNNING")
FAILED = ("CANCEL_PENDING", "CANCELLED", "FAILED", "INTERRUPTED")
READY = ("RUNNING", "WAITING")
OVER = ("TERMINATED", "TERMINATED_WITH_ERRORS")
ENDED = ("TERMINATING", *OVER)


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


def steps(client: Any, cluster_id: str) -> Iterator[dict[str, Any]]:
    """List a cluster's steps, newest first."""
    for page in client.get_paginator("list_steps").paginate(ClusterId=cluster_id):
        yield from page["Steps"]


def find_step(client: Any, cluster_id: str, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the newest step of the same name and command that goes on, or has been done."""
    for step in steps(client, cluster_id):
        same = step["Name"] == wanted["Name"] and list(step["Config"]["Args"]) == wanted["HadoopJarStep"]["Args"]
        if same and step["Status"]["State"] in DONE + GOING:
            return step
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


def protected(cluster: Mapping[str, Any], client: Any) -> str | None:
    """Say that a live cluster is protected from termination and how to end it, or None."""
    if not cluster.get("TerminationProtected"):
        return None
    return (
        f"Cluster {cluster['Id']} is {cluster['Status']['State']} and protected from termination: somebody wants it to "
        f"stay, and it costs money. End it if it is not wanted, then clear the task:\n{how_to_end(cluster, client)}"
    )


def how_to_end(cluster: Mapping[str, Any], client: Any) -> str:
    """Write the commands that end a cluster, for a person who may take its protection away: Orchard may not.

    An EMR that is not AWS' own is named outright: version 1 of the AWS CLI obeys no variable for it.
    """
    url, where = client.meta.endpoint_url, f"--region {client.meta.region_name}"
    host = urlsplit(url).hostname or ""
    aws = "  aws emr" if re.search(r"\.amazonaws\.[a-z.]+$", host) else f"  aws --endpoint-url {url} emr"
    unprotect = f"{aws} modify-cluster-attributes {where} --cluster-id {cluster['Id']} --no-termination-protected\n"
    protected = cluster.get("TerminationProtected")
    return f"{unprotect if protected else ''}{aws} terminate-clusters {where} --cluster-ids {cluster['Id']}"
