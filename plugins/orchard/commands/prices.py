"""Prices: show the price list, or write it anew from AWS' Price List API."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from orchard.instances import INSTANCES
from orchard.prices.price_list import FILE, RegionPrices, read, write
from orchard.prices.price_list_api import PriceListError, ask
from orchard.settings import EU_REGIONS
from orchard.settings import regions as known_regions


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
    parser = argparse.ArgumentParser(prog="python -m orchard prices", description=__doc__)
    # The sovereign cloud is a partition of its own, whose list is in euros.
    regions = [region for region in EU_REGIONS if not region.startswith("eusc-")]
    parser.add_argument("--region", action="append", help=f"one or more (default: {', '.join(regions)})")
    parser.add_argument("--refresh", action="store_true", help="ask AWS; needs credentials and pricing:GetProducts")
    parser.add_argument(
        "--file", type=Path, default=FILE, help="of the list (default: the one that comes with the code)"
    )
    args = parser.parse_args(argv)
    if unknown := sorted({*(args.region or ())} - known_regions() - {*EU_REGIONS}):
        parser.error(f"--region {unknown[0]}: expected a region of AWS, such as {regions[0]}.")
    prices = read(args.file) if args.file.exists() else {}
    if args.refresh:
        try:
            prices |= ask(args.region or regions, datetime.now(UTC).date().isoformat())
        except PriceListError as error:
            print(error, file=sys.stderr)
            return 1
        write(prices, args.file)
        print(f"Wrote {args.file}")
    print(describe(prices, args.region or sorted(prices)))
    return 0
