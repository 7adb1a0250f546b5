"""Estimate: nodes, minutes and dollars of a number of photos, before there is a run; see also a run's *Plan only*."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchard.cluster.sizing import Size, size
from orchard.commands import command_settings
from orchard.prices.price_list import price_list
from orchard.settings import MOST_NODES, Settings, SettingsError

# Photos a second a vCPU: 224 on two vCPUs of an EPYC, MobileNetV2 f32, photos on the local disk; README.md, Speed.
MEASURED = 112.0
GETS = 0.4  # dollars a million GETs of S3 Standard in eu-west-1, 0.43 in eu-central-1 (2026)
# Both ends of numbers, as the form and the settings have them; less than the least is a slip, too.
_MOST_PHOTOS, _MOST_MINUTES, _LEAST_RATE, _MOST_RATE = 1_000_000_000, 10080, 0.001, 1_000_000
_NOWHERE = Settings.parse(
    {
        "lake": "s3://bucket/lake",
        "prefixes": ["s3://bucket/photos"],
        "extractor": "mobilenet_v2-f32-000000000000",
        "outside_eu": True,
    }
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print what a number of photos takes and costs; 2 where that cannot be said of what is given."""
    parser = argparse.ArgumentParser(prog="python -m orchard estimate", description=__doc__)
    parser.add_argument("--photos", type=_whole(0, _MOST_PHOTOS), required=True, help="how many are new")
    parser.add_argument("--region", help=f"default: {_NOWHERE.region}")
    parser.add_argument("--instance-type", action="append", help=f"one or more (default: {_NOWHERE.instance_type})")
    parser.add_argument(
        "--nodes", type=_whole(1, MOST_NODES), help="core nodes (default: as many as the time aimed at asks for)"
    )
    parser.add_argument(
        "--minutes", type=_number(1, _MOST_MINUTES), help=f"aimed at (default: {_NOWHERE.target_minutes:.0f})"
    )
    parser.add_argument(
        "--rate",
        type=_number(_LEAST_RATE, _MOST_RATE),
        help=f"photos a second a vCPU (default: {MEASURED:.0f}, as measured)",
    )
    parser.add_argument("--spot", action="store_true", help="with spot nodes, whose price is at most the one on demand")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--settings", type=Path, metavar="FILE", help="with the settings of a file, JSON")
    given.add_argument(
        "--airflow", action="store_true", help="with the settings of this Airflow, and the speed of its runs"
    )
    args = parser.parse_args(argv)
    chosen: dict[str, Any] = {
        "region": args.region,
        "instance_types": tuple(args.instance_type) if args.instance_type else None,
        "target_minutes": args.minutes,
        "spot": args.spot or None,
    }
    try:
        settings = _settings(args)
        settings = settings.but(**{name: value for name, value in chosen.items() if value is not None})
        rates, source = (
            ([args.rate], "as given") if args.rate is not None else ([MEASURED], "measured: see README, Speed")
        )
        if args.airflow and args.rate is None:
            rates = _rates(settings)
            source = "of this lake's newest runs" if rates else "the setting: no run tells yet"
        if not args.photos:
            print("0 photos: $0.00, for a run without new photos rents no cluster.")
            return 0
        found = size(settings, args.photos, rates, args.nodes)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    print(describe(settings, found, args.photos, source))
    return 0


def describe(settings: Settings, found: Size, photos: int, source: str) -> str:
    """Say it, the last line fit to be quoted."""
    kinds, several = " or ".join(settings.types), len(settings.types) > 1 or settings.spot
    listed = price_list().get(settings.region)
    if found.dollars is None or listed is None:
        cost = "price unknown (python -m orchard prices --refresh asks AWS)"
    else:
        cost = f"{'at most ' * several}${found.dollars:.2f} (prices of {listed.as_of}, on demand)"
    requests = photos / 1e6 * GETS
    return "\n".join(
        [
            f"photos   {photos:,}",
            f"rate     {found.rate:.0f} photos a second a vCPU ({source})",
            f"cluster  1 primary and {found.core_nodes} core {kinds}, {found.vcpus} vCPUs, {settings.region}",
            f"minutes  {found.seconds / 60:.0f}, of which a cluster takes 6 to start",
            f"dollars  {cost}; beside it, about ${requests:.2f} of S3's GET requests",
            "",
            f"{photos:,} photos: {cost.split(' (')[0]}, {found.seconds / 60:.0f} minutes on 1 primary and "
            f"{found.core_nodes} core {kinds} in {settings.region}.",
        ]
    )


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # A long one is not even counted: Python refuses to.
        if text.isdecimal() and len(text.lstrip("0")) <= len(str(most)) and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most:,}, got {text!r}")

    return read


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        with suppress(ValueError):
            if least <= (number := float(text)) <= most:
                return number
        raise argparse.ArgumentTypeError(f"expected a number from {least:g} to {most:,.0f}, got {text!r}")

    return read


def _settings(args: argparse.Namespace) -> Settings:
    if args.settings:
        return command_settings.of_file(args.settings)
    return command_settings.of_airflow() if args.airflow else _NOWHERE


def _rates(settings: Settings) -> list[float]:
    from orchard import aws
    from orchard.lake import ledger

    catalog = aws.catalog(settings.root, settings.database, settings.region)
    return ledger.rates(catalog, settings.database, settings.extractor)
