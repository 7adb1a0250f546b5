"""Fits: a basis as a page shows it, from its row in `bases` and the pictures that step 2 left beside the exports."""

import base64
import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.catalog import Catalog

from orchard.lake.rows import equal, rows
from orchard.report import figures

KEEP = 0.995  # as in spark_jobs/exact/basis.py: a basis that captures less of what the best would is fitted anew
_MARKS = (0.8, 0.9, 0.95, 0.99)  # of the variance
_SVG_BYTES = 900_000  # a larger picture is shown as PNG


@dataclass(frozen=True)
class Component:
    """A row of the table of variance; `reaches` is the share of the variance that it is the first to reach."""

    number: int
    eigenvalue: float
    explained: float
    cumulative: float
    reaches: float | None


@dataclass(frozen=True)
class Fit:
    """The basis in use; what its files would tell is empty where they are gone.

    Attributes
    ----------
    asked : str or None
        What it was fitted for.
    components : int
        How many it has.
    rows : tuple of Component
        The telling rows of the table of variance.
    variance_plot, map : str or None
        ``data:`` URIs.
    """

    basis_id: str
    fitted_at: datetime | None
    fitted_on: int | None
    why: str | None
    asked: str | None
    components: int
    rows: tuple[Component, ...]
    variance_plot: str | None
    map: str | None


def read_fit(
    catalog: Catalog, database: str, root: str, extractor_id: str, basis_id: str, read: Callable[[str], bytes]
) -> Fit:
    """Read a basis: its row without its numbers, its table of variance and its pictures."""
    fields = ("created_at", "count", "why", "asked_components", "asked_variance", "standardize")
    found = rows(catalog, database, "bases", equal(extractor_id=extractor_id, basis_id=basis_id), *fields)
    basis = found[0] if found else dict.fromkeys(fields)
    asked = None
    if basis["asked_components"] is not None:
        asked = f"{figures.count(basis['asked_components'])} components"
    elif basis["asked_variance"] is not None:
        asked = f"{figures.percent(basis['asked_variance'])} of the variance"
    folder = f"{root}/exports/{extractor_id}/{basis_id}"
    table = _read_or_none(read, f"{folder}/variance.csv") or b""
    variance = list(csv.DictReader(io.StringIO(table.decode())))
    return Fit(
        basis_id=basis_id,
        fitted_at=basis["created_at"],
        fitted_on=basis["count"],
        why=basis["why"],
        asked=f"{asked}, of standardised features" if asked and basis["standardize"] else asked,
        components=len(variance),
        rows=_telling(variance),
        variance_plot=_picture(read, f"{folder}/variance"),
        map=_picture(read, f"{folder}/map"),
    )


def _telling(variance: Iterable[Mapping[str, str]]) -> tuple[Component, ...]:
    """Choose the first ten components, those that reach a mark, and the last."""
    chosen, before = [], 0.0
    for one in variance:
        cumulative, explained = float(one["cumulative"]), float(one["explained"])
        reaches = max((mark for mark in _MARKS if before < mark <= cumulative), default=None)
        chosen.append(Component(int(one["component"]), float(one["eigenvalue"]), explained, cumulative, reaches))
        before = cumulative
    return tuple(one for one in chosen if one.number <= 10 or one.reaches is not None or one is chosen[-1])


def _picture(read: Callable[[str], bytes], name: str) -> str | None:
    svg = _read_or_none(read, f"{name}.svg")
    if svg is not None and len(svg) <= _SVG_BYTES:
        return _data("image/svg+xml", svg)
    png = _read_or_none(read, f"{name}.png")
    return None if png is None else _data("image/png", png)


def _read_or_none(read: Callable[[str], bytes], address: str) -> bytes | None:
    try:
        return read(address)
    except FileNotFoundError:
        return None


def _data(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
