"""Estimate: nodes, minutes and dollars of a number of photos, before there is a run; see also a run's *Plan only*.

With --history: what a lake's past runs would have taken and cost on other instance types, on demand and spot; and with
--years, what its days will cost when it has grown.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchard.cluster.sizing import Size, size
from orchard.commands import command_settings
from orchard.commands.costs.candidates import candidates
from orchard.commands.costs.growth import Growth
from orchard.commands.costs.replay import by_dollars, replay
from orchard.commands.costs.table import past, years
from orchard.commands.numbers import number, whole
from orchard.lake import ledger
from orchard.lake.history import bytes_held, read_history
from orchard.lake.home import AnotherLakeError
from orchard.lake.tables import NoAwsError, NoLakeError, existing_catalog
from orchard.prices.price_list import GET, price_list
from orchard.settings import MOST_NODES, Settings, SettingsError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

# Photos a second a vCPU: 224 on two vCPUs of an EPYC, MobileNetV2 f32, photos on the local disk; README.md, Speed.
MEASURED = 112.0
# Both ends of numbers, as the form and the settings have them; less than the least is a slip, too.
_MOST_PHOTOS, _MOST_MINUTES, _LEAST_RATE, _MOST_RATE = 1_000_000_000, 10080, 0.001, 1_000_000
_MOST_YEARS = 100
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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--photos", type=whole(0, _MOST_PHOTOS), help="how many are new")
    what.add_argument("--history", action="store_true", help="a lake's past runs on each type, on demand and spot")
    parser.add_argument(
        "--years", type=whole(1, _MOST_YEARS), help="with --history: dollars a day as the lake grows, for so many"
    )
    parser.add_argument("--region", help=f"default: {_NOWHERE.region}")
    parser.add_argument(
        "--instance-type",
        action="append",
        help=f"one or more (default: {_NOWHERE.instance_type}; with --history, what the lake runs on and those of a "
        "list that have a price)",
    )
    parser.add_argument(
        "--nodes", type=whole(1, MOST_NODES), help="core nodes (default: as many as the time aimed at asks for)"
    )
    parser.add_argument(
        "--minutes", type=number(1, _MOST_MINUTES), help=f"aimed at (default: {_NOWHERE.target_minutes:.0f})"
    )
    parser.add_argument(
        "--rate",
        type=number(_LEAST_RATE, _MOST_RATE),
        help=f"photos a second a vCPU (default: {MEASURED:.0f}, as measured)",
    )
    parser.add_argument("--spot", action="store_true", help="with spot nodes, whose price is at most the one on demand")
    parser.add_argument("--database", help="of the Glue Data Catalog, beside --lake (default: orchard)")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--settings", type=Path, metavar="FILE", help="with the settings of a file, JSON")
    given.add_argument(
        "--airflow", action="store_true", help="with the settings of this Airflow, and the speed of its runs"
    )
    given.add_argument("--lake", help="with --history: s3://bucket[/prefix] or a folder, with the usual settings")
    args = parser.parse_args(argv)
    if args.history and not (args.lake or args.settings or args.airflow):
        parser.error("--history: expected --lake, --settings or --airflow beside it, which say whose runs.")
    if stray := [name for name in ("years", "lake") if getattr(args, name) is not None and not args.history]:
        parser.error(f"--{stray[0]}: expected --history beside it.")
    if args.database is not None and not args.lake:
        parser.error("--database: expected --lake beside it.")
    chosen: dict[str, Any] = {
        "region": args.region,
        "instance_types": tuple(args.instance_type) if args.instance_type and not args.history else None,
        "target_minutes": args.minutes,
        "spot": args.spot or None,
    }
    try:
        settings = _settings(args)
        settings = settings.but(**{name: value for name, value in chosen.items() if value is not None})
        if args.history:
            print("\n".join(_history(args, settings)))
            return 0
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
    except (SettingsError, NoLakeError, AnotherLakeError, NoAwsError) as error:
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
    get = listed.s3.get(GET) if listed else None
    requests = "S3's GET requests" if get is None else f"about ${photos / 1000 * get:.2f} of S3's GET requests"
    return "\n".join(
        [
            f"photos   {photos:,}",
            f"rate     {found.rate:.0f} photos a second a vCPU ({source})",
            f"cluster  1 primary and {found.core_nodes} core {kinds}, {found.vcpus} vCPUs, {settings.region}",
            f"minutes  {found.seconds / 60:.0f}, of which a cluster takes 6 to start",
            f"dollars  {cost}; beside it, {requests}",
            "",
            f"{photos:,} photos: {cost.split(' (')[0]}, {found.seconds / 60:.0f} minutes on 1 primary and "
            f"{found.core_nodes} core {kinds} in {settings.region}.",
        ]
    )


def _settings(args: argparse.Namespace) -> Settings:
    if args.settings:
        return command_settings.of_file(args.settings)
    return command_settings.of_airflow() if args.airflow else _NOWHERE


def _history(args: argparse.Namespace, settings: Settings) -> Iterator[str]:
    """Replay a lake's runs, and reckon its years to come."""
    catalog, database = _catalog(args, settings)
    found = read_history(catalog, database)
    if found is None:
        yield "No run has ended in this lake yet: there is nothing to replay."
        return
    types = candidates(settings, found, args.instance_type, args.rate)
    done = by_dollars(replay(one, found.runs, args.nodes) for one in types)
    yield from past(found, settings.region, done)
    if args.years is not None:
        held = ledger.held(catalog, database, found.extractor_id)
        growth = Growth.of(found, held, bytes_held(catalog, database))
        yield ""
        yield from years(growth, settings.region, done, args.years, args.nodes)


def _catalog(args: argparse.Namespace, settings: Settings) -> tuple["Catalog", str]:
    """Open the lake that is meant, which must be there."""
    # Airflow, which is imported by now, sends what libraries tell to stdout, where the table goes.
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    if args.lake:
        database = args.database or settings.database
        return existing_catalog(args.lake, database), database
    properties = {"glue.region": settings.region, "s3.region": settings.region}
    if args.airflow:
        from orchard import aws

        properties = aws.catalog_properties(settings.region)
    return existing_catalog(settings.root, settings.database, properties), settings.database


def _rates(settings: Settings) -> list[float]:
    from orchard import aws

    catalog = aws.catalog(settings.root, settings.database, settings.region)
    return ledger.rates(catalog, settings.database, settings.extractor)
