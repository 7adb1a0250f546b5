"""Past: days that were, written into a lake's tables at once, as both steps would have left them.

Ten years of days cannot be lived through in an hour; that a day costs the same after them can be shown nevertheless.
On each of these days photos came, and nothing else. `sums`, exports and the newest total are left to the next run,
which finds them missing and makes them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo

from benchmarks import drawn
from orchard.lake.rows import equal, rows
from orchard.lake.tables import append
from orchard.photos.listing import canonical_prefix, list_photos
from spark_jobs.exact.basis import Basis
from spark_jobs.exact.moments import Moments, moments_id

_PHOTOS = 20_000  # held at once
_NEWEST_ALONE = ("weights", "whole")  # columns of `recognisers` that only the newest row has


class _Day(NamedTuple):
    run_id: str
    at: datetime
    uris: list[str]


def write(catalog: Catalog, database: str, there: drawn.Photos, days: int, added: int) -> None:
    """Let days pass after at least one that was lived through, whose run is the model of theirs."""
    model = max(rows(catalog, database, "runs", EqualTo("cluster", "local")), key=lambda row: row["ended_at"])
    of_model = equal(extractor_id=model["extractor_id"], run_id=model["run_id"])
    (recogniser,) = rows(catalog, database, "recognisers", of_model)
    basis = _basis(*rows(catalog, database, "bases", EqualTo("basis_id", model["basis_id"])))
    # A millisecond each: they lie between the days before and those to come.
    began = datetime.now(UTC)
    passed = (_pass(there, began + number * timedelta(milliseconds=1), added) for number in range(days))
    while some := list(islice(passed, max(_PHOTOS // added, 1))):
        listed = _listed(there.folder, some)
        seen = drawn.embeddings([Path(uri.removeprefix("file://")) for uri in listed["uri"].to_pylist()])
        mine = {"extractor_id": model["extractor_id"], "basis_id": model["basis_id"]}
        _append(catalog, database, "batches", listed, **mine, action="add", label_rule=model["label_rule"])
        _append(catalog, database, "embeddings", listed, **mine, embedding=list(seen))
        _append(catalog, database, "coordinates", listed, **mine, coordinates=list(basis.project(seen)))
        days_of = np.array(listed["run_id"].to_pylist(), dtype=object)
        labels = np.array(listed["label"].to_pylist(), dtype=object)
        own, fitted, ended = [], [], []
        for day in some:
            here = days_of == day.run_id
            batch = Moments.of(seen[here], labels[here].tolist()).pack()
            of_day = {"extractor_id": model["extractor_id"], "run_id": day.run_id, "created_at": day.at}
            own.append({**of_day, "count": int(here.sum()), "batch": batch, "moments_id": moments_id(batch)})
            fitted.append({**recogniser, **of_day, **dict.fromkeys(_NEWEST_ALONE)})
            ended.append({**model, **of_day, "started_at": day.at, "ended_at": day.at, "added": added})
        for name, of_days in (("moments", own), ("recognisers", fitted), ("runs", ended)):
            _append(catalog, database, name, of_days)


def _pass(there: drawn.Photos, at: datetime, added: int) -> _Day:
    return _Day(f"local-{at:%Y%m%dT%H%M%S.%f}Z", at, [f"file://{path}" for path in there.day(added, 0, 0)])


def _listed(folder: Path, days: Sequence[_Day]) -> pa.Table:
    """List the days' photos, each with its run."""
    came = {uri: (day.run_id, day.at) for day in days for uri in day.uris}
    found = pa.Table.from_batches(list_photos(canonical_prefix(str(folder))))
    found = found.filter(pa.array([uri in came for uri in found["uri"].to_pylist()]))
    runs, times = zip(*(came[uri] for uri in found["uri"].to_pylist()), strict=True)
    return found.append_column("run_id", pa.array(runs)).append_column(
        "found_at", pa.array(times, pa.timestamp("us", "UTC"))
    )


def _basis(row: dict[str, Any]) -> Basis:
    mean, scale, components, values = (np.asarray(row[c]) for c in ("mean", "scale", "components", "eigenvalues"))
    return Basis(mean, scale, components, values, row["count"])


def _append(catalog: Catalog, database: str, name: str, found: pa.Table | list[dict[str, Any]], **others: Any) -> None:
    """Append rows to a table that has some of their columns, and perhaps others, which are null."""
    table = catalog.load_table((database, name))
    schema = table.schema().as_arrow()
    columns = found.to_pydict() if isinstance(found, pa.Table) else _columns(found, schema)
    count = len(next(iter(columns.values())))
    columns |= {key: value if isinstance(value, list) else [value] * count for key, value in others.items()}
    arrays = (pa.array(columns.get(field.name, [None] * count), field.type) for field in schema)
    append(table, [pa.Table.from_arrays([*arrays], schema=schema)])


def _columns(found: list[dict[str, Any]], schema: pa.Schema) -> dict[str, list[Any]]:
    return {name: [row.get(name) for row in found] for name in schema.names}
