"""Sizing: how many nodes a run rents, how long it takes then, and what that costs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchard.cluster.nodes import node_gib
from orchard.instances import INSTANCES
from orchard.prices.price_list import dollars
from orchard.settings import Settings

START_SECONDS = 360.0  # until a cluster of EMR on EC2 takes its first step: five to seven minutes
STEPS_SECONDS = 90.0  # of both steps, whatever their photos: Spark's start, the fit, the commits


@dataclass(frozen=True)
class Size:
    """A cluster, and what is expected of it.

    Attributes
    ----------
    core_nodes : int
        Beside one primary node, which computes nothing.
    seconds : float
        From the request until the cluster is given back.
    dollars : float or None
        Of several types, for the dearest; None where one has no price.
    """

    instance_type: str
    core_nodes: int
    vcpus: int
    rate: float
    seconds: float
    dollars: float | None


def size(settings: Settings, photos: int, rates: Sequence[float], core_nodes: int | None = None) -> Size:
    """Choose the fewest nodes that are expected to do the photos in the time aimed at.

    Parameters
    ----------
    photos : int
        To be embedded.
    rates : sequence of float
        Photos a second a vCPU of earlier runs; their median counts. Empty: the settings' default.
    core_nodes : int, optional
        Take just so many.
    """
    first = settings.types[0]
    each = INSTANCES[first].vcpus
    rate = statistics.median(rates) if rates else settings.rate
    fixed = START_SECONDS + STEPS_SECONDS
    left = max(60 * settings.target_minutes - fixed, 60.0)
    nodes = core_nodes
    if nodes is None:
        wanted = photos / (rate * each * left)  # too many to be counted, of a rate that is a slip
        nodes = math.ceil(min(max(wanted, settings.min_core_nodes), settings.max_core_nodes))
    seconds = fixed + photos / (rate * each * nodes)
    return Size(first, nodes, each * nodes, rate, seconds, _at_most(settings, each * nodes, seconds))


def _at_most(settings: Settings, vcpus: int, seconds: float) -> float | None:
    """Price the dearest cluster that may come of it, on demand; None where a type has no price."""
    gib, found = node_gib(settings), []
    for one in settings.types:
        needed = math.ceil(vcpus / INSTANCES[one].vcpus)
        found.append([dollars(settings.region, one, gib, seconds, nodes) for nodes in (1, needed)])
    known = [[cost for cost in costs if cost is not None] for costs in zip(*found, strict=True)]
    return sum(map(max, known)) if all(len(costs) == len(found) for costs in known) else None
