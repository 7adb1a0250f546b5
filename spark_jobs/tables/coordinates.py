"""Coordinates: the basis in use, and every embedding's place in it.

The table holds one basis an extractor at any moment: a new one replaces all rows in one commit.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from spark_jobs.exact.basis import Basis, Request, why_refit
from spark_jobs.exact.moments import Moments
from spark_jobs.tables.lake import BatchTask, Lake, run_in
from spark_jobs.tables.vectors import lists, matrix

_LOG = logging.getLogger("reduce")
REFIT = ("auto", "always", "never")


@dataclass(frozen=True)
class Placed:
    """What was done about basis and coordinates.

    Attributes
    ----------
    why : str or None
        Why the basis was fitted anew; None where the one in use was kept.
    captured_of_best, captured : float
        Variance that the basis captures, over what the best of its size would, and over all.
    projected : int
        Photos whose coordinates were computed.
    rows : Mapping of str to int
        What the table holds now: rows of each run.
    """

    basis: Basis
    why: str | None
    captured_of_best: float
    captured: float
    projected: int
    rows: Mapping[str, int]


def update(lake: Lake, extractor_id: str, total: Moments, request: Request, refit: str) -> Placed:
    """Keep or fit the basis, and bring the table `coordinates` up to date with `embeddings`."""
    held = lake.parts("embeddings", extractor_id=extractor_id)
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)  # of each run, by basis
    for part in lake.partitions("coordinates", extractor_id=extractor_id).collect():
        rows[part.basis_id][part.run_id] += part.record_count
    in_use = _in_use(lake, extractor_id, rows)
    basis, why = _choose(in_use, total, request, refit)
    if why is not None:
        _store(lake, extractor_id, basis, request, why)
    placed = rows[basis.basis_id]
    missing = sorted(run for run in held if placed.get(run) != held[run])
    everything = F.col("extractor_id") == extractor_id
    if missing or placed.keys() - held.keys():
        photos = lake.table("embeddings", extractor_id=extractor_id).where(run_in(missing))
        columns = "uri string, etag string, label string, run_id string, coordinates array<float>"
        projected = photos.select("uri", "etag", "label", "run_id", "embedding").mapInArrow(_projection(basis), columns)
        projected = projected.withColumns({"extractor_id": F.lit(extractor_id), "basis_id": F.lit(basis.basis_id)})
        stale = [*missing, *(placed.keys() - held.keys())]
        lake.replace_where("coordinates", projected, everything & run_in(stale) if placed else everything)
    of_best, of_all = basis.captured(total)
    return Placed(basis, why, of_best, of_all, sum(held[run] for run in missing), held)


def _choose(
    in_use: tuple[Basis, Request] | None, total: Moments, request: Request, refit: str
) -> tuple[Basis, str | None]:
    """Return the basis to use, and why it is new; None where it is the one in use."""
    if in_use is None:
        return Basis.fit(total, request), "first basis"
    basis, asked = in_use
    if refit == "never":
        if asked != request:
            _LOG.warning("--refit never keeps the basis in use, which was fitted for %s, not for %s.", asked, request)
        return basis, None
    why = "--refit always" if refit == "always" else why_refit(basis, asked, request, total)
    if why is None:
        return basis, None
    fitted = Basis.fit(total, request).aligned_with(basis)
    return (basis, None) if fitted.basis_id == basis.basis_id else (fitted, why)


def _in_use(lake: Lake, extractor_id: str, ids: Iterable[str]) -> tuple[Basis, Request] | None:
    """Load the basis that the coordinates stand in; before there are any, the newest."""
    bases = lake.table("bases", extractor_id=extractor_id)
    chosen = bases.where(F.col("basis_id").isin([*ids])) if ids else bases
    rows = chosen.orderBy(F.desc("created_at")).limit(1).collect()
    if not rows:
        return None
    (row,) = rows
    mean, scale, components, eigenvalues = (np.asarray(row[c]) for c in ("mean", "scale", "components", "eigenvalues"))
    request = Request(row.asked_components, row.asked_variance, row.standardize)
    return Basis(mean, scale, components, eigenvalues, row["count"]), request


def _store(lake: Lake, extractor_id: str, basis: Basis, request: Request, why: str) -> None:
    row: dict[str, Any] = {
        "extractor_id": extractor_id,
        "basis_id": basis.basis_id,
        "mean": basis.mean,
        "scale": basis.scale,
        "components": list(basis.components),
        "eigenvalues": basis.eigenvalues,
        "count": basis.count,
        "created_at": datetime.now(UTC),
        "why": why,
        "asked_components": request.components,
        "asked_variance": request.variance,
        "standardize": request.standardize,
    }
    lake.replace("bases", lake.rows("bases", [row]), extractor_id=extractor_id, basis_id=basis.basis_id)


def _projection(basis: Basis) -> BatchTask:
    def project(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            coordinates = lists(basis.project(matrix(batch["embedding"])))
            yield pa.record_batch(
                [*(batch[name] for name in ("uri", "etag", "label", "run_id")), coordinates],
                names=["uri", "etag", "label", "run_id", "coordinates"],
            )

    return project
