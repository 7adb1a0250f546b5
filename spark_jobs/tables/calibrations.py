"""Calibrations: what a run's photos tell of how sure its recogniser may be, learnt by Spark and kept beside it."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from spark_jobs.exact.calibration import Calibration
from spark_jobs.exact.distance import Distance
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.tables.lake import BatchTask, Lake, run_in
from spark_jobs.tables.totals import Totals
from spark_jobs.tables.vectors import flags, matrix

ENOUGH = 5000  # photos to calibrate by
_CALIBRATION = ("judged", "right", "certainties", "distances")


def earlier(lake: Lake, run_id: str, extractor_id: str, photos: int) -> Iterator[Calibration]:
    """Read what was learnt in the newest other runs: with the photos given, of `ENOUGH` if there are."""
    rows = lake.single_rows("recognisers", "judged", "created_at", extractor_id=extractor_id)
    taken = []
    for row in sorted(rows, key=lambda row: row.created_at, reverse=True):
        if photos < ENOUGH and row.judged and row.run_id != run_id:
            taken.append(row.run_id)
            photos += row.judged
    found = lake.table("recognisers", extractor_id=extractor_id).where(run_in(taken)).select("run_id", *_CALIBRATION)
    # In an order that is the same when a step is done again: the certainties are sums of fractions.
    for row in sorted(found.collect()) if taken else ():
        yield Calibration(row.judged, row.right, np.array(row.certainties), np.array(row.distances))


def learn(totals: Totals, folds: Sequence[Recogniser | None]) -> Calibration:
    """Learn from the run's photos, by the recognisers of the other folds."""
    if totals.photos is None:
        return Calibration.none()
    judges = [
        (one, Distance.of(totals.held_out(fold), one.shrinkage)) if one is not None else None
        for fold, one in enumerate(folds)
    ]
    schema = "judged bigint, right bigint, certainties array<double>, distances array<bigint>"
    rows = totals.photos.mapInArrow(_calibrating(judges), schema).collect()
    return sum(
        (Calibration(r.judged, r.right, np.array(r.certainties), np.array(r.distances)) for r in rows),
        Calibration.none(),
    )


def _calibrating(judges: Sequence[tuple[Recogniser, Distance] | None]) -> BatchTask:
    def calibrate(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = Calibration.none()
        for batch in batches:
            embeddings, fold = matrix(batch["embedding"]), batch["fold"].to_numpy()
            labels = np.asarray(batch["label"].to_pylist(), dtype=object)
            unseen = ~flags(batch, "twin_before") & ~flags(batch, "augmented")
            for number, judge in enumerate(judges):
                here = unseen & (fold == number)
                if judge is not None and here.any():
                    here &= np.isin(labels, np.asarray(judge[0].labels, dtype=object))
                    found += Calibration.of(*judge, labels[here], embeddings[here])
        row = (found.judged, found.right, found.certainties, found.distances)
        yield pa.record_batch([pa.array([one]) for one in row], names=list(_CALIBRATION))

    return calibrate
