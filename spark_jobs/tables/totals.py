"""Totals: the moments of each run, and of the whole lake, kept in the table `moments`.

A row stands only while it is true (`batch` withdraws it before embeddings change), so what is missing is computed,
and a usual day adds one batch to one total, which the newest row alone holds. Only when it does not cover exactly the
other runs are they summed anew, by `sums`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from spark_jobs.exact.moments import Moments, moments_id
from spark_jobs.exact.partial_sums import Run, name_of, plan
from spark_jobs.exact.twins import FOLDS
from spark_jobs.tables import sums
from spark_jobs.tables.folds import divide
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.vectors import matrix

_ROWS = 4096  # embeddings centred at once: 42 MB in float64 for 1280 numbers


@dataclass(frozen=True)
class Totals:
    """The moments of a run and of the lake.

    Attributes
    ----------
    before : Moments
        Of all other runs.
    folds : tuple of Moments
        Of this run's batch, divided by `spark_jobs.tables.folds`.
    photos : DataFrame or None
        Of this run's batch, as divided; whoever is done with them unpersists them. None where the run has none.
    """

    before: Moments
    folds: tuple[Moments, ...]
    photos: DataFrame | None

    @property
    def total(self) -> Moments:
        return reduce(Moments.__add__, self.folds, self.before)

    def held_out(self, fold: int) -> Moments:
        """Moments of the lake without one fold of this run's batch: summed without it, not subtracted."""
        return reduce(Moments.__add__, (part for i, part in enumerate(self.folds) if i != fold), self.before)


def update(lake: Lake, run_id: str, extractor_id: str, feature: str | None = None, views: int = 1) -> Totals | None:
    """Bring the table `moments` up to date with `embeddings`, and return the totals; None for an empty lake."""
    mine = {"extractor_id": extractor_id}
    held = lake.parts("embeddings", **mine)
    if not held:
        for table in {"moments", "sums"} & lake.tables():
            lake.delete(table, **mine)
        return None
    rows = lake.single_rows("moments", "count", "moments_id", "created_at", **mine)
    known = {row.run_id: row for row in rows if row.run_id != run_id}
    for gone in known.keys() - held.keys():
        if known[gone]["count"]:
            lake.delete("moments", run_id=gone, **mine)
            del known[gone]
    runs = {name: Run(name, row.moments_id, row["count"]) for name, row in known.items()}
    for name in sorted(held.keys() - {run_id}):
        if name not in known or known[name]["count"] != held[name]:
            batch = _of_run(lake, name, extractor_id)
            runs[name], row = _row(name, extractor_id, batch)
            lake.replace("moments", lake.rows("moments", [row]), extractor_id=extractor_id, run_id=name)
    before = _before(lake, run_id, extractor_id, [*runs.values()]) if runs else None
    photos, folds = None, {}
    if run_id in held:
        others = {run: held[run] for run in sorted(runs, key=lambda run: _age(known.get(run))) if run in held}
        photos = divide(lake, run_id, extractor_id, feature, views, others)
        folds = _by_fold(lake, photos)
    empty = Moments.empty((before or next(iter(folds.values()))).dimension)
    totals = Totals(before or empty, tuple(folds.get(i, empty) for i in range(FOLDS)), photos)
    run, row = _row(run_id, extractor_id, reduce(Moments.__add__, totals.folds))
    row |= {
        "total": totals.total.pack(),
        "total_count": totals.total.count,
        "covers": name_of({one.name: one.moments for one in [*runs.values(), run]}),
    }
    lake.replace_newest("moments", row, "total_count", "total", "covers")
    return totals


def _age(row: Row | None) -> float:
    """Sort the newest runs first; those that were not known before have an age that nobody knows."""
    return -row.created_at.timestamp() if row is not None else 0.0


def _of_run(lake: Lake, run_id: str, extractor_id: str) -> Moments:
    """Compute the moments of a run's embeddings anew."""
    part = lake.table("embeddings", extractor_id=extractor_id, run_id=run_id)
    return _by_fold(lake, part.select(F.lit(0).alias("fold"), "label", "embedding"))[0]


def _by_fold(lake: Lake, photos: DataFrame) -> dict[int, Moments]:
    """Compute the moments of each fold that has photos; the driver holds one task's at a time."""
    rows = photos.select("fold", "label", "embedding").coalesce(lake.spark.sparkContext.defaultParallelism)
    partial = rows.mapInArrow(_partial, "fold int, packed binary").persist(StorageLevel.DISK_ONLY)
    try:
        partial.count()  # all tasks at once; the iterator below would run them one by one
        merged: dict[int, Moments] = {}
        for row in partial.toLocalIterator():
            moments = Moments.unpack(bytes(row.packed))
            merged[row.fold] = merged[row.fold] + moments if row.fold in merged else moments
    finally:
        partial.unpersist()
    return merged


def _partial(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Moments of each fold among a task's rows."""
    waiting: defaultdict[int, list[tuple[NDArray[np.float32], list[str]]]] = defaultdict(list)
    merged: dict[int, Moments] = {}

    def merge(number: int) -> None:
        parts = waiting.pop(number)
        moments = Moments.of(np.concatenate([x for x, _ in parts]), [label for _, labels in parts for label in labels])
        merged[number] = merged[number] + moments if number in merged else moments

    for batch in batches:
        folds, embeddings = batch["fold"].to_numpy(), matrix(batch["embedding"])
        labels = np.asarray(batch["label"].to_pylist(), dtype=object)
        for number in np.unique(folds).tolist():
            here = folds == number
            waiting[number].append((embeddings[here], labels[here].tolist()))
            if sum(len(x) for x, _ in waiting[number]) >= _ROWS:
                merge(number)
    for number in list(waiting):
        merge(number)
    for number, moments in sorted(merged.items()):
        yield pa.record_batch(
            {"fold": pa.array([number], pa.int32()), "packed": pa.array([moments.pack()], pa.binary())}
        )


def _before(lake: Lake, run_id: str, extractor_id: str, runs: Sequence[Run]) -> Moments:
    """Total of all runs but one: the newest total where one covers exactly them, else summed anew."""
    others = lake.table("moments", extractor_id=extractor_id).where(F.col("run_id") != run_id)
    asked = plan(runs)
    fitting = others.where("total_count IS NOT NULL").where(F.col("covers") == asked.name).select("total").collect()
    return Moments.unpack(bytes(fitting[0].total)) if fitting else sums.total(lake, extractor_id, asked)


def _row(run_id: str, extractor_id: str, batch: Moments) -> tuple[Run, dict[str, Any]]:
    """Make a row of a run's own moments."""
    packed = batch.pack()
    run = Run(run_id, moments_id(packed), batch.count)
    return run, {
        "extractor_id": extractor_id,
        "run_id": run_id,
        "count": run.photos,
        "batch": packed,
        "moments_id": run.moments,
        "created_at": datetime.now(UTC),
    }
