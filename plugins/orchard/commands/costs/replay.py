"""Replay: what each past run of a lake would have taken and cost on a candidate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchard.cluster.sizing import Size, bill, size
from orchard.commands.costs.candidates import Candidate
from orchard.lake.history import Past
from orchard.prices.price_list import NOTHING, Cost
from orchard.settings import Settings


@dataclass(frozen=True)
class Replay:
    """The runs of a lake on a candidate, in the order in which they were given."""

    candidate: Candidate
    sizes: tuple[Size, ...]
    costs: tuple[Cost, ...]

    @property
    def total(self) -> Cost:
        total = NOTHING
        for one in self.costs:
            total = total.plus(one)
        return total


def replay(candidate: Candidate, runs: Iterable[Past], core_nodes: int | None = None) -> Replay:
    """Do the runs again."""
    sizes = tuple(again(candidate.settings, run, candidate.speed.rates, core_nodes) for run in runs)
    return Replay(candidate, sizes, tuple(bill(candidate.settings, one) for one in sizes))


def again(settings: Settings, run: Past, rates: Sequence[float], core_nodes: int | None = None) -> Size:
    """Size a past run as its plan would be, and let what was not embedding take as long as it did.

    Of a run that rented nothing, or whose cluster's life is not known, the plan's own seconds count for that. With the
    run's type, nodes and rate this is the cluster's life as it was.
    """
    planned = size(settings, run.photos, rates, core_nodes)
    return planned if run.beside is None else size(settings, run.photos, rates, planned.core_nodes, run.beside)


def by_dollars(replays: Iterable[Replay]) -> list[Replay]:
    """Sort, the cheapest first; after all whose price is known, the others by what is known of theirs."""
    return sorted(replays, key=lambda one: (bool(one.total.missing), one.total.known))
