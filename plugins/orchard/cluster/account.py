"""Account: what a cluster has cost, by the prices that its plan was made with."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from orchard.cluster.life import last
from orchard.cluster.nodes import node_gib
from orchard.plan import Plan
from orchard.prices.price_list import dollars
from orchard.settings import Settings

_LOG = logging.getLogger("orchard")


class Lived(NamedTuple):
    """A node, and for how long it was there."""

    instance_type: str
    seconds: float


def cost(settings: Settings, plan: Plan, client: Any, cluster: Mapping[str, Any], now: datetime) -> float | None:
    """Price the nodes that a cluster really had; None where the list lacks one.

    Spot nodes are priced as on demand: what they cost is known to the bill alone.

    Parameters
    ----------
    cluster : Mapping
        As EMR describes it.
    now : datetime
        Until when a node of a cluster counts that has not ended.
    """
    until = last(
        cluster["Status"]["Timeline"], now
    )  # no node outlives its cluster, whether EMR has noted its end or not
    nodes = _lived(client, cluster["Id"], until) or _planned(plan, cluster, until)
    parts = [dollars(plan.region, node.instance_type, node_gib(settings), node.seconds) for node in nodes]
    return None if None in parts else sum(part for part in parts if part is not None)


def _lived(client: Any, cluster_id: str, until: datetime) -> list[Lived]:
    from botocore.exceptions import ClientError

    try:
        pages = list(client.get_paginator("list_instances").paginate(ClusterId=cluster_id))
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        # A run that went well does not fail for its bill.
        _LOG.warning("Airflow may not list a cluster's nodes: allow it elasticmapreduce:ListInstances. %s", error)
        return []
    nodes = [(node["InstanceType"], node["Status"].get("Timeline", {})) for page in pages for node in page["Instances"]]
    return [Lived(name, _seconds(timeline, until)) for name, timeline in nodes if "CreationDateTime" in timeline]


def _planned(plan: Plan, cluster: Mapping[str, Any], until: datetime) -> list[Lived]:
    """Take the plan's nodes, for as long as the cluster lived."""
    _LOG.warning("Nodes of cluster %s are not known: its cost is that of those that were planned.", cluster["Id"])
    return [Lived(plan.instance_type, _seconds(cluster["Status"]["Timeline"], until))] * (plan.core_nodes + 1)


def _seconds(timeline: Mapping[str, Any], until: datetime) -> float:
    return float((last(timeline, until) - timeline["CreationDateTime"]).total_seconds())
