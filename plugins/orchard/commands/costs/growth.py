"""Growth: what a day of a lake will cost, some years on, if it goes on growing as it does.

A cluster costs what a day's new photos cost, whatever the lake holds (docs/design.md, "A day is as large as its
photos"); what grows with the lake is what S3 keeps of it, and the listing of its photos.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchard.cluster.sizing import START_SECONDS, STEPS_SECONDS, bill, size
from orchard.commands.costs.candidates import Candidate
from orchard.lake.history import History
from orchard.prices.price_list import GET, LIST, STORAGE, Cost, price_list

NEWEST = 30  # runs that tell how a lake grows
_MONTHS_A_DAY = 12 / 365
_A_LISTING = 1000  # objects that one LIST request answers


@dataclass(frozen=True)
class Growth:
    """How a lake grows.

    Attributes
    ----------
    runs, days : int
        That it was measured in; the days with those on which nothing was rented.
    photos, grown : float
        Of a run, medians: what it embeds, and what it adds to the lake.
    beside : float
        Seconds of a run's cluster that are not embedding: the median, with the share of table maintenance.
    held, listed : int
        Photos now: in the lake, and under its prefixes.
    bytes_a_photo : float or None
        Of all tables; None of a lake that holds no photo.
    """

    runs: int
    days: int
    photos: float
    grown: float
    beside: float
    held: int
    listed: int
    bytes_a_photo: float | None

    @classmethod
    def of(cls, history: History, held: int, bytes_held: int) -> "Growth":
        """Measure the newest runs."""
        runs = history.runs[:NEWEST]
        known = [run for run in runs if run.beside is not None]
        beside = [run.beside - run.maintained for run in known if run.beside is not None]
        maintained = sum(run.maintained for run in known) / max(len(known), 1)
        return cls(
            runs=len(runs),
            days=(runs[0].day - runs[-1].day).days + 1,
            photos=statistics.median(run.photos for run in runs),
            grown=statistics.median(run.grown for run in runs),
            beside=statistics.median(beside) + maintained if beside else START_SECONDS + STEPS_SECONDS,
            held=held,
            listed=next((run.listed for run in runs if run.listed is not None), held),
            bytes_a_photo=bytes_held / held if held else None,
        )

    @property
    def runs_a_day(self) -> float:
        return self.runs / self.days

    def held_after(self, years: float) -> int:
        return self._after(self.held, years)

    def _after(self, now: int, years: float) -> int:
        return max(round(now + 365 * years * self.runs_a_day * self.grown), 0)

    def storage(self, region: str, years: float) -> Cost:
        """Price a day of keeping the tables."""
        if self.bytes_a_photo is None:
            return Cost(0.0, frozenset({"bytes a photo"}))
        return _s3(region, STORAGE, self.held_after(years) * self.bytes_a_photo / 2**30 * _MONTHS_A_DAY)

    def requests(self, region: str, years: float) -> Cost:
        """Price a day of listing all photos once, and of getting the new ones."""
        lists = math.ceil(self._after(self.listed, years) / _A_LISTING)
        return _s3(region, LIST, lists / 1000).plus(_s3(region, GET, self.photos * self.runs_a_day / 1000))

    def clusters(self, candidate: Candidate, core_nodes: int | None = None) -> Cost:
        """Price a day's clusters, which is the same in all years."""
        settings, rates = candidate.settings, candidate.speed.rates
        planned = size(settings, self.photos, rates, core_nodes)
        one = bill(settings, size(settings, self.photos, rates, planned.core_nodes, self.beside))
        return Cost(one.known * self.runs_a_day, one.missing)


def marks(years: int, most: int = 5) -> Sequence[int]:
    """Choose the years that are shown, from now to the last."""
    step = math.ceil(years / most)
    return [*range(0, years, step), years]


def _s3(region: str, what: str, units: float) -> Cost:
    listed = price_list().get(region)
    price = listed.s3.get(what) if listed else None
    return Cost(0.0, frozenset({f"S3's price of {what} in {region}"})) if price is None else Cost(units * price)
