"""Prices: what nodes cost, on demand, EMR's part and volumes included; dollars before tax.

The list is ``prices.json`` beside this module: a part a region, each with its date and source. A price that is not
known is left open, never guessed. ``python -m orchard prices`` shows the list, and with ``--refresh`` writes it anew
from AWS' Price List API (`orchard.prices.price_list_api`).
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from orchard.instances import INSTANCES
from orchard.settings import EU_REGIONS

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


def describe(prices: Mapping[str, RegionPrices], regions: Sequence[str]) -> str:
    """Show a list, for a person."""
    lines = []
    for region in regions:
        if region not in prices:
            lines.append(f"{region}: no prices")
            continue
        part = prices[region]
        gp3 = "unknown" if part.gp3 is None else f"${part.gp3:.4f} a GiB-month"
        lines.append(f"{region}, {part.as_of} ({part.source}): gp3 {gp3}; dollars an hour of EC2, and of EMR on top")
        for name in sorted(part.ec2.keys() | part.emr.keys(), key=lambda one: (one.split(".")[0], INSTANCES[one])):
            both = (part.ec2.get(name), part.emr.get(name))
            lines.append(
                f"  {name:12} " + " ".join("unknown".rjust(8) if one is None else f"{one:8.4f}" for one in both)
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Show or refresh the price list."""
    parser = argparse.ArgumentParser(prog="python -m orchard prices", description=(__doc__ or "").split("\n\n")[0])
    # The sovereign cloud is a partition of its own, whose list is in euros.
    regions = [region for region in EU_REGIONS if not region.startswith("eusc-")]
    parser.add_argument("--region", action="append", help=f"one or more (default: {', '.join(regions)})")
    parser.add_argument("--refresh", action="store_true", help="ask AWS; needs credentials and pricing:GetProducts")
    parser.add_argument(
        "--file", type=Path, default=FILE, help="of the list (default: the one that comes with the code)"
    )
    args = parser.parse_args(argv)
    prices = read(args.file) if args.file.exists() else {}
    if args.refresh:
        from orchard.prices.price_list_api import PriceListError, ask

        try:
            prices |= ask(args.region or regions, datetime.now(UTC).date().isoformat())
        except PriceListError as error:
            print(error, file=sys.stderr)
            return 1
        write(prices, args.file)
        print(f"Wrote {args.file}")
    print(describe(prices, args.region or sorted(prices)))
    return 0
