"""Table: a lake's past and its years to come as a person reads them, with all that is assumed beside."""

import statistics
from collections.abc import Iterator, Sequence

from orchard.commands.costs.growth import Growth, marks
from orchard.commands.costs.replay import Replay
from orchard.lake.history import History
from orchard.prices.price_list import SPOT, Cost, price_list

NO_PRICE = "no price"


def money(amount: float | None) -> str:
    """Write dollars, with two digits that count where they are few; of an unknown price, that it is none."""
    if amount is None:
        return NO_PRICE
    return f"{amount:,.2f}" if amount == 0 or amount >= 1 else f"{amount:.{3 if amount >= 0.1 else 4}f}"


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def past(history: History, region: str, replays: Sequence[Replay]) -> Iterator[str]:
    """Show each candidate beside how it was; the one in use has a star."""
    runs = history.runs
    rented = [run for run in runs if run.instance_type]
    nothing = f"; on {history.idle_days:,} of them nothing was rented: $0.00" if history.idle_days else ""
    yield (
        f"{counted(len(runs), 'run')} of {history.extractor_id} in {counted(history.days, 'day')}{nothing}. "
        f"{sum(run.photos for run in runs):,} photos, prices of {region}"
    )
    if lived := [run.seconds for run in rented if run.seconds is not None]:
        known = [run.dollars for run in rented if run.dollars is not None]
        told = f"${sum(known):,.2f}" if len(known) == len(rented) else f"${sum(known):,.2f} of {len(known)} runs"
        yield f"As it was: {statistics.median(lived) / 60:.1f} minutes a run (median), {told} in all"
    yield ""
    yield _row("", "type", "market", "nodes", "minutes", "$ a run", "$ in all", "photos a second a vCPU")
    for one in replays:
        sizes, costs = one.sizes, one.costs
        each = None if one.total.missing else statistics.median(cost.known for cost in costs)
        yield _row(
            "*" * one.candidate.in_use,
            one.candidate.instance_type,
            one.candidate.market,
            f"{statistics.median(size.core_nodes for size in sizes):g}",
            f"{statistics.median(size.seconds for size in sizes) / 60:.1f}",
            money(each),
            money(one.total.dollars),
            f"{sizes[0].rate:.0f}, {one.candidate.speed.source}",
        )
    yield ""
    yield "* in use. Nodes are core nodes beside one primary; nodes, minutes and $ a run are medians over the runs."
    yield "Nodes are those that a plan of today chooses. What was not embedding takes as long as it did in each run."
    if any("assumed" in one.candidate.speed.source for one in replays):
        yield "Assumed speeds are no measurement: a type's vCPU may be faster or slower until runs of this lake tell."
    yield from _prices(region, [one.total for one in replays])
    yield from _least(replays)


def years(growth: Growth, region: str, replays: Sequence[Replay], count: int, core_nodes: int | None) -> Iterator[str]:
    """Show dollars a day on each candidate, from now to some years on."""
    shown = marks(count)
    yield (
        f"Dollars a day, by the newest {counted(growth.runs, 'run')} in {counted(growth.days, 'day')}: "
        f"{growth.runs_a_day:.2g} runs a day of {growth.photos:,.0f} photos, by which the lake grows by "
        f"{growth.grown:,.0f} (medians)"
    )
    yield ""
    yield _line("in so many years", [f"{year}" if year else "now" for year in shown])
    yield _line("photos in the lake", [f"{growth.held_after(year):,}" for year in shown])
    storage = [growth.storage(region, year) for year in shown]
    requests = [growth.requests(region, year) for year in shown]
    yield _line("S3, storage", [money(one.dollars) for one in storage])
    yield _line("S3, requests", [money(one.dollars) for one in requests])
    for one in replays:
        clusters = growth.clusters(one.candidate, core_nodes)
        days = [clusters.plus(kept).plus(asked) for kept, asked in zip(storage, requests, strict=True)]
        name = f"{one.candidate.instance_type} {one.candidate.market}"
        yield _line(f"{'*' if one.candidate.in_use else ' '} {name}", [money(day.dollars) for day in days])
    yield ""
    yield "Rows of types: clusters with S3's two rows. Assumed:"
    yield "- photos come, and prices are, as they do and are now; days without a run cost S3 alone"
    yield "- a cluster costs what its new photos cost, whatever the lake holds (tried by python -m benchmarks.years)"
    if growth.bytes_a_photo is not None:
        yield f"- tables take {growth.bytes_a_photo:,.0f} bytes a photo, as now, without older snapshots and photos"
    else:
        yield "- the lake holds no photo: what its tables will take is not known"
    yield "- one listing a day of all photos, one GET a new photo; PUTs, keys, logs and Airflow are not in it"
    yield from _missing([*storage, *requests] if growth.bytes_a_photo is not None else requests)


def _row(mark: str, name: str, market: str, nodes: str, minutes: str, each: str, total: str, speed: str) -> str:
    return f"{mark:1} {name:12} {market:9} {nodes:>5} {minutes:>8} {each:>9} {total:>9}  {speed}"


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:24}" + "".join(f"{cell:>12}" for cell in cells)


def _prices(region: str, totals: Sequence[Cost]) -> Iterator[str]:
    listed = price_list().get(region)
    if listed is not None:
        spot = f"; spot's of the days before {listed.spot_as_of}" if listed.spot_as_of else ""
        yield f"Prices of {listed.as_of}, on demand{spot}. The primary and one core node are on demand in both markets;"
        yield "spot nodes are taken to be had, and to stay: one that is taken away costs its tasks, done again."
    yield from _missing(totals)


def _missing(costs: Sequence[Cost]) -> Iterator[str]:
    """Say what the list lacks, and how it gets it."""
    missing = sorted({name for cost in costs for name in cost.missing})
    if missing:
        yield f"No price of: {', '.join(missing)}."
        yield "AWS tells them: python -m orchard prices --refresh --spot"


def _least(replays: Sequence[Replay]) -> Iterator[str]:
    """Say what is known of those that lack a part of their price: the least that they cost, of spot also the most."""
    on_demand = {one.candidate.instance_type: one.total for one in replays if one.candidate.market != SPOT}
    for one in replays:
        candidate = one.candidate
        machines = price_list().get(candidate.settings.region)
        if not one.total.missing or machines is None or candidate.instance_type not in machines.ec2:
            continue
        line = f"{candidate.instance_type} {candidate.market}: at least ${money(one.total.known)} in all"
        most = on_demand[candidate.instance_type].dollars
        if candidate.market == SPOT and most is not None:
            line += f", at most ${money(most)}, which is on demand"
        yield line
