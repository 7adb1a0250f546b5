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
) -> tuple[Recogniser, float | None, int]:
    """Fit the recogniser of everything, measure its accuracy, and store both.

    Returns
    -------
    recogniser : Recogniser
    accuracy : float or None
        Share of the run's photos that are recognised by a classifier fitted on the whole lake but their fold: so each
        photo of the day is judged once, unseen, at the cost of the day. None where no photo was judged.
    judged : int
        Photos that accuracy is the share of: not those of a fold without which the lake has but one label, as there
        would be nothing to choose from.
    """
    recogniser = Recogniser.fit(totals.total, shrinkage)
    unseen = [totals.held_out(number) for number in range(FOLDS)]
    judges = [Recogniser.fit(moments, shrinkage) if len(moments.labels) > 1 else None for moments in unseen]
    judged = sum(part.count for part, judge in zip(totals.folds, judges, strict=True) if judge is not None)
    accuracy = _right(lake, run_id, extractor_id, judges) / judged if judged else None
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
    return recogniser, accuracy, judged


def _right(lake: Lake, run_id: str, extractor_id: str, judges: list[Recogniser | None]) -> int:
    """Count the run's photos whose label their fold's judge finds."""
    part = lake.table("embeddings", extractor_id=extractor_id, run_id=run_id)
    correct = part.select(fold().alias("fold"), "label", "embedding").mapInArrow(_judgement(judges), "correct bigint")
    return int(correct.agg(F.sum("correct")).collect()[0][0] or 0)


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
