"""Prices: what a node costs an hour, on demand, EMR's own part included; dollars before tax."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

AS_OF = "2026-06"
EBS_GIB = 64  # a node's default volumes on EMR (gp3)
_EBS_MONTH = 0.088  # dollars a GiB-month of gp3 in eu-west-1
_HOURS_A_MONTH = 730


class Price(NamedTuple):
    """Dollars an hour of one node."""

    ec2: float
    emr: float

    @property
    def total(self) -> float:
        return self.ec2 + self.emr + EBS_GIB * _EBS_MONTH / _HOURS_A_MONTH


# From AWS' public price pages for EC2 (Linux, on demand) and EMR on EC2, by region and instance type.
PRICES: Mapping[tuple[str, str], Price] = MappingProxyType(
    {
        ("eu-west-1", "m5.xlarge"): Price(0.214, 0.048),
        ("eu-west-1", "m5.2xlarge"): Price(0.428, 0.096),
        ("eu-west-3", "m5.xlarge"): Price(0.224, 0.048),
        ("eu-west-3", "m5.2xlarge"): Price(0.448, 0.096),
        ("eu-central-1", "m5.xlarge"): Price(0.230, 0.048),
        ("eu-central-1", "m5.2xlarge"): Price(0.460, 0.096),
        ("eu-north-1", "m5.xlarge"): Price(0.204, 0.048),
        ("eu-north-1", "m5.2xlarge"): Price(0.408, 0.096),
    }
)


def dollars(region: str, instance_type: str, nodes: int, seconds: float) -> float | None:
    """Price nodes for a time; None where the list has no price. Billed by the second, a minute at least."""
    price = PRICES.get((region, instance_type))
    return None if price is None else nodes * price.total * max(seconds, 60.0) / 3600
