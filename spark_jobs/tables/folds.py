"""Folds: a run's photos, divided for a cross-validation so that near twins stand on one side.

Photos are compared with those of their label in the run, and in the newest runs before it: as many as a day can pay
for, whatever the lake holds.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.exact import twins
from spark_jobs.exact.moments import Moments
from spark_jobs.tables.lake import BatchTask, Lake, run_in
from spark_jobs.tables.vectors import lists, matrix

EARLIER = 20_000  # photos of runs before, at the least where the lake has them, to look for twins among

_DIVIDED = "label string, embedding array<float>, fold int, twins bigint, twin_before boolean"
_Block = tuple[str, list[str], NDArray[np.bool_], NDArray[np.float32]]


def divide(lake: Lake, run_id: str, extractor_id: str, before: Moments | None, others: Mapping[str, int]) -> DataFrame:
    """Divide a run's photos into folds.

    Parameters
    ----------
    before : Moments, optional
        Of all other runs, if there are any.
    others : Mapping of str to int
        Photos of each other run, the newest first.

    Returns
    -------
    DataFrame
        Kept on disk until it is unpersisted. A row a photo of the run: label, embedding, fold; ``twins``, the number of
        its group of near twins, one that no other group of the label has; ``twin_before``, whether the group has
        photos of other runs.
    """
    mine = lake.table("embeddings", extractor_id=extractor_id, run_id=run_id)
    rows = mine.select("uri", "label", "embedding", F.lit(True).alias("mine"))
    if newest := _newest(others):
        earlier = lake.table("embeddings", extractor_id=extractor_id).where(run_in(newest))
        earlier = earlier.join(F.broadcast(mine.select("label").distinct()), "label", "left_semi")
        rows = rows.union(earlier.select("uri", "label", "embedding", F.lit(False).alias("mine")))
    # A number of its own: what is kept is not coalesced, and a cluster's default is 200 tasks, each with its Python.
    tasks = lake.spark.sparkContext.defaultParallelism
    rows = rows.repartition(tasks, "label").sortWithinPartitions("label", "uri").persist(StorageLevel.DISK_ONLY)
    try:
        spreads = rows.mapInArrow(_spread, "trace double, photos bigint, labels bigint").groupBy().sum().collect()[0]
        trace, photos, labels = (value or 0 for value in spreads)
        if before is not None:
            trace += np.trace(before.scatter)
            photos, labels = photos + before.count, labels + len(before.labels)
        scale = twins.squared_scale(float(trace), photos, labels)
        divided = rows.mapInArrow(_division(scale), _DIVIDED).persist(StorageLevel.DISK_ONLY)
        divided.count()
    finally:
        rows.unpersist()
    return divided


def _newest(others: Mapping[str, int]) -> list[str]:
    sums = accumulate(others.values())
    return [run for run, photos, total in zip(others, others.values(), sums, strict=True) if total - photos < EARLIER]


def _spread(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Sum of squared distances of the run's photos to the mean of their block, photos, and blocks."""
    trace, photos, blocks = 0.0, 0, 0
    for _, _, mine, embeddings in _blocks(batches):
        if mine.any():
            x = embeddings[mine].astype(np.float64)
            trace += float(np.sum((x - x.mean(axis=0)) ** 2))
            photos += len(x)
            blocks += 1
    yield pa.record_batch(
        {"trace": pa.array([trace]), "photos": pa.array([photos], pa.int64()), "labels": pa.array([blocks], pa.int64())}
    )


def _division(scale: float) -> BatchTask:
    def division(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        seen = 0  # groups of blocks before
        for label, uris, mine, embeddings in _blocks(batches):
            numbers = twins.groups(uris, embeddings, scale)
            before = np.isin(numbers, numbers[~mine])
            if mine.any():
                yield pa.record_batch(
                    {
                        "label": pa.array([label] * int(mine.sum()), pa.string()),
                        "embedding": lists(embeddings[mine]),
                        "fold": pa.array(twins.folds(label, numbers[mine]), pa.int32()),
                        "twins": pa.array(numbers[mine] + seen, pa.int64()),
                        "twin_before": pa.array(before[mine]),
                    }
                )
            seen += int(numbers.max()) + 1

    return division


def _blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[_Block]:
    """Cut rows, sorted by label, into blocks of one label and at most `twins.BLOCK` photos."""
    label: str | None = None
    waiting: list[pa.RecordBatch] = []

    def flush() -> Iterator[_Block]:
        if waiting and label is not None:
            table = pa.Table.from_batches(waiting).combine_chunks()
            embeddings = matrix(table["embedding"].combine_chunks())
            yield label, table["uri"].to_pylist(), table["mine"].to_numpy(), embeddings
        waiting.clear()

    for batch in batches:
        labels = np.asarray(batch["label"].to_pylist(), dtype=object)
        changes = np.flatnonzero(labels[1:] != labels[:-1]) + 1
        for start, end in zip([0, *changes.tolist()], [*changes.tolist(), len(labels)], strict=True):
            for first in range(start, end, twins.BLOCK):
                part = batch.slice(first, min(twins.BLOCK, end - first))
                full = sum(len(held) for held in waiting) + len(part) > twins.BLOCK
                if waiting and (labels[first] != label or full):
                    yield from flush()
                label = labels[first]
                waiting.append(part)
    yield from flush()
