"""Sizing: how many nodes a run rents, how long it takes then, and what that costs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchard.cluster.nodes import capacity, node_gib
from orchard.instances import INSTANCES
from orchard.prices.price_list import ON_DEMAND, SPOT, Cost, cost, dollars
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


def size(
    settings: Settings,
    photos: float,
    rates: Sequence[float],
    core_nodes: int | None = None,
    fixed: float = START_SECONDS + STEPS_SECONDS,
) -> Size:
    """Choose the fewest nodes that are expected to do the photos in the time aimed at.

    Parameters
    ----------
    photos : float
        To be embedded.
    rates : sequence of float
        Photos a second a vCPU of earlier runs; their median counts. Empty: the settings' default.
    core_nodes : int, optional
        Take just so many.
    fixed : float
        Seconds that are spent whatever the photos.
    """
    first = settings.types[0]
    each = INSTANCES[first].vcpus
    rate = statistics.median(rates) if rates else settings.rate
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


def bill(settings: Settings, found: Size) -> Cost:
    """Price a cluster of one type as it is expected to be, its spot nodes at what was paid for such of late."""
    each, gib = INSTANCES[found.instance_type].vcpus, node_gib(settings)
    here = capacity(found.instance_type, found.vcpus, settings.spot)

    def of(nodes: int, market: str) -> Cost:
        return cost(settings.region, found.instance_type, gib, found.seconds, nodes, market)

    steady = of(1 + here.on_demand // each, ON_DEMAND)
    return steady.plus(of(here.spot // each, SPOT)) if here.spot else steady
