"""Prices: show the price list, or write it anew from what AWS says."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from orchard.instances import INSTANCES
from orchard.prices import price_list_api, spot_history
from orchard.prices.asking import PriceListError
from orchard.prices.price_list import FILE, GET, LIST, STORAGE, RegionPrices, read, write
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
        s3 = f"${part.s3[STORAGE]:.4f} a GiB-month" if STORAGE in part.s3 else "unknown"
        if LIST in part.s3 and GET in part.s3:
            s3 += f", ${part.s3[LIST]:.4f} a thousand LIST, ${part.s3[GET]:.5f} a thousand GET"
        spot = f", and of spot (before {part.spot_as_of}; {spot_history.SOURCE})" if part.spot else ""
        lines.append(
            f"{region}, {part.as_of} ({part.source}): gp3 {gp3}; S3 {s3}; "
            f"dollars an hour of EC2, and of EMR on top{spot}"
        )
        columns = (part.ec2, part.emr, part.spot) if part.spot else (part.ec2, part.emr)
        names = {name for column in columns for name in column}
        for name in sorted(names, key=lambda one: (one.split(".")[0], INSTANCES[one])):
            each = (column.get(name) for column in columns)
            lines.append(
                f"  {name:12} " + " ".join("unknown".rjust(8) if one is None else f"{one:8.4f}" for one in each)
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
        "--spot",
        action="store_true",
        help="with --refresh: ask EC2 for spot prices, too; needs ec2:DescribeSpotPriceHistory",
    )
    parser.add_argument(
        "--file", type=Path, default=FILE, help="of the list (default: the one that comes with the code)"
    )
    args = parser.parse_args(argv)
    if unknown := sorted({*(args.region or ())} - known_regions() - {*EU_REGIONS}):
        parser.error(f"--region {unknown[0]}: expected a region of AWS, such as {regions[0]}.")
    if args.spot and not args.refresh:
        parser.error("--spot: expected --refresh beside it.")
    prices = read(args.file) if args.file.exists() else {}
    if args.refresh:
        try:
            prices |= _asked(prices, args.region or regions, args.spot)
        except PriceListError as error:
            print(error, file=sys.stderr)
            return 1
        write(prices, args.file)
        print(f"Wrote {args.file}")
    print(describe(prices, args.region or sorted(prices)))
    return 0


def _asked(old: Mapping[str, RegionPrices], regions: Sequence[str], spot: bool) -> dict[str, RegionPrices]:
    """Ask for the prices of regions; spot prices that are not asked for stay, with their date."""
    now = datetime.now(UTC)
    today = now.date().isoformat()
    prices = price_list_api.ask(regions, today)
    for region, part in prices.items():
        if spot:
            prices[region] = replace(part, spot=spot_history.ask(region, now), spot_as_of=today)
        elif region in old:
            prices[region] = replace(part, spot=old[region].spot, spot_as_of=old[region].spot_as_of)
    return prices
