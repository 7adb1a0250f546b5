"""Prices: what nodes cost, on demand, EMR's part and volumes included; dollars before tax.

The list is ``prices.json`` beside this module: a part a region, each with its date and source. A price that is not
known is left open, never guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("prices.json")
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
    """

    as_of: str
    source: str
    gp3: float | None
    ec2: Mapping[str, float]
    emr: Mapping[str, float]

    def hour(self, instance_type: str, gib: int) -> float | None:
        """Dollars an hour of a node with volumes of `gib` GiB in all; None where a part is not known."""
        ec2, emr = self.ec2.get(instance_type), self.emr.get(instance_type)
        if ec2 is None or emr is None or self.gp3 is None:
            return None
        return ec2 + emr + gib * self.gp3 / _HOURS_A_MONTH


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


def dollars(region: str, instance_type: str, gib: int, seconds: float, nodes: int = 1) -> float | None:
    """Price nodes for a time; None where the list has no price."""
    part = price_list().get(region)
    hour = part.hour(instance_type, gib) if part else None
    return None if hour is None else nodes * hour * max(seconds, _LEAST_SECONDS) / 3600
