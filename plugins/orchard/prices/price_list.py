"""Prices: what nodes and S3 cost, in dollars before tax; of nodes, EMR's part and volumes included.

The list is ``prices.json`` beside this module: a part a region, each with its date and source. A price that is not
known is left open, never guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("prices.json")
ON_DEMAND, SPOT = MARKETS = ("on demand", "spot")
STORAGE, LIST, GET = S3 = ("storage", "list", "get")  # the keys of `RegionPrices.s3`
_HOURS_A_MONTH = 730
_LEAST_SECONDS = 60.0  # billed by the second, a minute at least


@dataclass(frozen=True)
class RegionPrices:
    """What is known of a region.

    Attributes
    ----------
    as_of, source : str
        Since when, and from where.
    gp3 : float or None
        Dollars a GiB-month of EBS.
    ec2, emr : Mapping of str to float
        Dollars an hour of an instance type: EC2's (Linux, on demand), and EMR's on top.
    s3 : Mapping of str to float
        Dollars of S3 Standard: of storage, a GiB-month (the first 50 TB); of list and get, a thousand requests.
    spot : Mapping of str to float
        As `ec2`, of spare capacity: what was paid before `spot_as_of`, of a price that moves by the hour.
    spot_as_of : str or None
        When EC2 was asked for them.
    """

    as_of: str
    source: str
    gp3: float | None
    ec2: Mapping[str, float]
    emr: Mapping[str, float]
    s3: Mapping[str, float] = field(default_factory=dict)
    spot: Mapping[str, float] = field(default_factory=dict)
    spot_as_of: str | None = None

    def hour(self, instance_type: str, gib: int, market: str = ON_DEMAND) -> Mapping[str, float | None]:
        """Return dollars an hour of a node with volumes of `gib` GiB in all, by its parts; None: not known."""
        whose, ec2 = ("EC2's spot price", self.spot) if market == SPOT else ("EC2's price", self.ec2)
        volumes = None if self.gp3 is None else gib * self.gp3 / _HOURS_A_MONTH
        return {
            f"{whose} of {instance_type}": ec2.get(instance_type),
            f"EMR's part of {instance_type}": self.emr.get(instance_type),
            "EBS' price": volumes,
        }


class Cost(NamedTuple):
    """What something costs, as far as that is known: `known` is the least, and `missing` what it lacks."""

    known: float
    missing: frozenset[str] = frozenset()

    @property
    def dollars(self) -> float | None:
        """All of it; None where a part is not known."""
        return None if self.missing else self.known

    def plus(self, other: "Cost") -> "Cost":
        return Cost(self.known + other.known, self.missing | other.missing)


NOTHING = Cost(0.0)


def read(path: Path = FILE) -> dict[str, RegionPrices]:
    """Read a list, by region."""
    return {region: RegionPrices(**part) for region, part in json.loads(path.read_text("utf-8")).items()}


def write(prices: Mapping[str, RegionPrices], path: Path = FILE) -> None:
    """Write a list."""
    parts = {region: asdict(part) for region, part in prices.items()}
    path.write_text(json.dumps(parts, indent=1, sort_keys=True) + "\n", "utf-8")


@cache
def price_list() -> Mapping[str, RegionPrices]:
    """Return the list that comes with the code."""
    return read()


def cost(region: str, instance_type: str, gib: int, seconds: float, nodes: int = 1, market: str = ON_DEMAND) -> Cost:
    """Price nodes for a time, as far as the list knows."""
    part = price_list().get(region)
    if part is None:
        return Cost(0.0, frozenset({f"all prices of {region}"}))
    hour = part.hour(instance_type, gib, market)
    known = sum(one for one in hour.values() if one is not None)
    missing = frozenset(name for name, one in hour.items() if one is None)
    return Cost(nodes * known * max(seconds, _LEAST_SECONDS) / 3600, missing)


def dollars(region: str, instance_type: str, gib: int, seconds: float, nodes: int = 1) -> float | None:
    """Price nodes on demand for a time; None where the list has no price."""
    return cost(region, instance_type, gib, seconds, nodes).dollars
