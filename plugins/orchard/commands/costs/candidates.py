"""Candidates: the instance types and markets that a lake's past is replayed on, and how fast each is taken to be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchard.cluster.spark_configuration import executor
from orchard.lake.history import History
from orchard.prices.price_list import MARKETS, SPOT, price_list
from orchard.settings import Settings, SettingsError

# Where none is named, x86 and Graviton: the smallest size, which few photos a day do not fill, and a larger one.
DEFAULT = (
    "m5.xlarge", "m5.2xlarge", "m6a.xlarge", "m6i.xlarge", "m7a.xlarge", "m7i.xlarge", "c7a.xlarge", "c7i.xlarge",
    "m6g.xlarge", "m7g.xlarge", "m8g.xlarge", "c7g.xlarge", "c8g.xlarge",
)  # fmt: skip


@dataclass(frozen=True)
class Speed:
    """How many photos a second a vCPU does, and by what that is known.

    Attributes
    ----------
    rates : list of float
        Of runs; empty: the setting's counts.
    source : str
        For a person.
    """

    rates: Sequence[float]
    source: str


@dataclass(frozen=True)
class Candidate:
    """A type in a market, as settings that have it."""

    settings: Settings
    speed: Speed
    in_use: bool

    @property
    def instance_type(self) -> str:
        return self.settings.types[0]

    @property
    def market(self) -> str:
        return MARKETS[self.settings.spot]


def candidates(
    settings: Settings, history: History, named: Sequence[str] | None, rate: float | None
) -> Iterator[Candidate]:
    """Yield each type in both markets.

    Parameters
    ----------
    named : sequence of str, optional
        The types; by default those of `DEFAULT` that the list has a price of, and the one in use.
    rate : float, optional
        How fast all are, in place of what was measured.

    Raises
    ------
    SettingsError
        A type that was named is none, or has too little memory.
    """
    listed = price_list().get(settings.region)
    known = [one for one in DEFAULT if listed is not None and one in listed.ec2]
    in_use = history.in_use
    for instance_type in dict.fromkeys(named or filter(None, [in_use, *known])):
        here = settings.but(instance_type=instance_type, instance_types=())
        try:
            executor(here.types, here.engine)
        except SettingsError:
            if named:
                raise
            continue
        speed = _speed(history, instance_type, rate, settings.rate)
        for market in MARKETS:
            spot = market == SPOT
            yield Candidate(here.but(spot=spot), speed, instance_type == in_use and spot == settings.spot)


def _speed(history: History, instance_type: str, given: float | None, otherwise: float) -> Speed:
    if given is not None:
        return Speed([given], "as given")
    if measured := history.rates_on(instance_type):
        return Speed(measured, "measured")
    if history.rates:
        types = sorted({run.instance_type or "a machine of its own" for run in history.runs if run.rate is not None})
        return Speed(history.rates, f"assumed: as on {' and '.join(types)}")
    return Speed([], f"assumed: the setting rate, {otherwise:g}")
