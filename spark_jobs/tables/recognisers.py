"""Recognisers: the lake's classifier, fitted anew each run, and how often it is right about photos it has not seen."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import functions as F

from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.totals import FOLDS, BatchTask, Totals, fold
from spark_jobs.tables.vectors import matrix


def update(
    lake: Lake, run_id: str, extractor_id: str, totals: Totals, shrinkage: float | None
) -> tuple[Recogniser, float | None]:
    """Fit the recogniser of everything, measure its accuracy, and store both.

    Returns
    -------
    recogniser : Recogniser
    accuracy : float or None
        Share of the run's photos that are recognised by a classifier fitted on the whole lake but their fold: so each
        photo of the day is judged once, unseen, at the cost of the day. None where the run embedded no photo.
    """
    recogniser = Recogniser.fit(totals.total, shrinkage)
    judged = sum(part.count for part in totals.folds)
    accuracy = _accuracy(lake, run_id, extractor_id, totals, shrinkage) if judged else None
    row = {
        "extractor_id": extractor_id,
        "run_id": run_id,
        "labels": list(recogniser.labels),
        "weights": list(recogniser.weights),
        "biases": recogniser.biases,
        "shrinkage": recogniser.shrinkage,
        "count": totals.total.count,
        "accuracy": accuracy,
        "accuracy_photos": judged,
        "created_at": datetime.now(UTC),
    }
    lake.replace("recognisers", lake.rows("recognisers", [row]), extractor_id=extractor_id, run_id=run_id)
    return recogniser, accuracy


def _accuracy(lake: Lake, run_id: str, extractor_id: str, totals: Totals, shrinkage: float | None) -> float:
    unseen = [totals.held_out(number) for number in range(FOLDS)]
    judges = [Recogniser.fit(moments, shrinkage) if moments.count else None for moments in unseen]
    part = lake.table("embeddings", extractor_id=extractor_id, run_id=run_id)
    correct = part.select(fold().alias("fold"), "label", "embedding").mapInArrow(_judgement(judges), "correct bigint")
    right = correct.agg(F.sum("correct")).collect()[0][0] or 0
    return float(right / sum(fold_moments.count for fold_moments in totals.folds))


def _judgement(judges: list[Recogniser | None]) -> BatchTask:
    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        correct = 0
        for batch in batches:
            folds, embeddings = batch["fold"].to_numpy(), matrix(batch["embedding"])
            for number, recogniser in enumerate(judges):
                here = folds == number
                if recogniser is not None and here.any():
                    correct += recogniser.correct(embeddings[here], batch["label"].filter(pa.array(here)).to_pylist())
        yield pa.record_batch({"correct": pa.array([correct], pa.int64())})

    return judge
