"""Folds: a run's photos, divided for a cross-validation so that near twins stand on one side.

Photos are compared with those of their label in the run, and in the newest runs before it: as many as a day can pay
for, whatever the lake holds. These say, too, how far photos of one label are from each other.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.exact import twins
from spark_jobs.exact.augmented import is_augmented
from spark_jobs.tables.lake import BatchTask, Lake, run_in
from spark_jobs.tables.vectors import lists, matrix

# To look for twins among, where the lake has them:
EARLIER = 20_000  # photos of runs before, at the least,
RUNS = 100  # but of no more runs than that, since each has a file of its own

_DIVIDED = "label string, embedding array<float>, fold int, twins bigint, twin_before boolean, augmented boolean"
_Block = tuple[str, list[str], NDArray[np.bool_], NDArray[np.float32]]


def divide(
    lake: Lake, run_id: str, extractor_id: str, feature: str | None, views: int, others: Mapping[str, int]
) -> DataFrame:
    """Divide a run's photos into folds.

    Parameters
    ----------
    feature : str, optional
        What the extractor makes of a network's numbers: see `twins.comparable`.
    views : int
        How many it merges: see `twins.threshold`.
    others : Mapping of str to int
        Photos of each other run, the newest first.

    Returns
    -------
    DataFrame
        Kept on disk until it is unpersisted. A row a photo of the run: label, embedding, fold; ``twins``, the number of
        its group of near twins, one that no other group of the label has; ``twin_before``, whether the group has
        photos of other runs; ``augmented``, whether it is a photo that was made, and not to be judged.
    """
    mine = lake.table("embeddings", extractor_id=extractor_id, run_id=run_id)
    rows = mine.select("uri", "label", "embedding", F.lit(True).alias("mine"))
    if newest := _newest(others):
        earlier = lake.table("embeddings", extractor_id=extractor_id).where(run_in(newest))
        rows = rows.union(earlier.select("uri", "label", "embedding", F.lit(False).alias("mine")))
    # A number of its own: what is kept is not coalesced, and a cluster's default is 200 tasks, each with its Python.
    tasks = lake.spark.sparkContext.defaultParallelism
    by_name = (F.substring_index("uri", "/", -1), "uri")  # as `twins.by_name`
    rows = rows.repartition(tasks, "label").sortWithinPartitions("label", *by_name).persist(StorageLevel.DISK_ONLY)
    try:
        spread = rows.mapInArrow(_spread(feature), "scatter double, photos bigint, blocks bigint").groupBy().sum()
        scale = twins.squared_scale(*(value or 0 for value in spread.collect()[0]))
        divided = rows.mapInArrow(_division(scale, feature, twins.threshold(views)), _DIVIDED).persist(
            StorageLevel.DISK_ONLY
        )
        divided.count()
    finally:
        rows.unpersist()
    return divided


def _newest(others: Mapping[str, int]) -> list[str]:
    sums = accumulate(others.values())
    newest = (run for run, photos, total in zip(others, others.values(), sums, strict=True) if total - photos < EARLIER)
    return list(islice(newest, RUNS))


def _spread(feature: str | None) -> BatchTask:
    def spread(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Sum of squared distances of photos to the mean of their block, photos, and blocks; augmented ones aside."""
        found = []
        for _, uris, _, embeddings in _blocks(batches):
            if (taken := ~_augmented(uris)).any():
                photos = twins.comparable(embeddings[taken], feature)
                found.append((twins.scatter(photos), len(photos), 1))
        scatter, count, blocks = map(sum, zip(*found, strict=True)) if found else (0.0, 0, 0)
        types = {"scatter": pa.float64(), "photos": pa.int64(), "blocks": pa.int64()}
        yield pa.record_batch(
            {n: pa.array([v], types[n]) for n, v in zip(types, (scatter, count, blocks), strict=True)}
        )

    return spread


def _division(scale: float, feature: str | None, near: float) -> BatchTask:
    def division(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        seen = 0  # groups of blocks before
        for label, uris, mine, embeddings in _blocks(batches):
            if not mine.any():
                continue
            numbers = twins.groups(uris, twins.comparable(embeddings, feature), scale, near)
            before = np.isin(numbers, numbers[~mine])
            yield pa.record_batch(
                {
                    "label": pa.array([label] * int(mine.sum()), pa.string()),
                    "embedding": lists(embeddings[mine]),
                    "fold": pa.array(twins.folds(label, numbers[mine]), pa.int32()),
                    "twins": pa.array(numbers[mine] + seen, pa.int64()),
                    "twin_before": pa.array(before[mine]),
                    "augmented": pa.array(_augmented(uris)[mine]),
                }
            )
            seen += int(numbers.max()) + 1

    return division


def _augmented(uris: Iterable[str]) -> NDArray[np.bool_]:
    return np.array([is_augmented(uri) for uri in uris], bool)


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
