"""Recognisers: the lake's classifier, fitted anew each run, and how often it is right about photos it has not seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from spark_jobs.exact.accuracy import Accuracy, Judged, by_label
from spark_jobs.exact.families import Families
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.exact.twins import FOLDS
from spark_jobs.tables import calibrations
from spark_jobs.tables.lake import BatchTask, Lake
from spark_jobs.tables.totals import Totals
from spark_jobs.tables.vectors import flags, matrix

WORST = 3
_COUNTS = (
    *("photos", "augmented", "judged_before", "right_before", "judged_folds", "right_folds"),
    *("right_before_parent", "right_folds_parent"),
)
_JUDGED = "label string, twins bigint, twin_before boolean, " + ", ".join(f"{count} bigint" for count in _COUNTS)


@dataclass(frozen=True)
class Judgement:
    """How often a run's photos were recognised by recognisers that had not seen them.

    A photo is judged by a recogniser that knows its label, and at least one more; an augmented one never is.

    Attributes
    ----------
    before : Accuracy
        Of the recogniser of all other runs: of the one before this run's photos were folded in.
    folds : Accuracy
        Of recognisers of the whole lake but the photo's fold; photos with a near twin in other runs are left out.
    before_parent, folds_parent : Accuracy
        How often the parent of the label was right, whose probability is the sum of its labels'; of a lake without a
        hierarchy nothing was judged.
    near_twins : int
        Photos of the run that have a near twin among the run's others, or in a run before.
    augmented : int
        Photos of the run that were not judged, since they are augmented.
    by_label : tuple of dict
        Per label of the run's photos: ``label``, and ``right_*`` and ``judged_*`` of `before` and `folds`; the worst of
        `folds` first.
    """

    before: Accuracy = field(default_factory=Accuracy)
    folds: Accuracy = field(default_factory=Accuracy)
    before_parent: Accuracy = field(default_factory=Accuracy)
    folds_parent: Accuracy = field(default_factory=Accuracy)
    near_twins: int = 0
    augmented: int = 0
    by_label: tuple[dict[str, str | int], ...] = ()

    @property
    def worst(self) -> tuple[str, ...]:
        """The labels that `folds` finds recognised least, three at most, as ``Anjou (2 of 11)``."""
        wrong = [row for row in self.by_label if row["right_folds"] < row["judged_folds"]]  # type: ignore[operator]
        return tuple(f"{row['label']} ({row['right_folds']} of {row['judged_folds']})" for row in wrong[:WORST])


def update(
    lake: Lake, run_id: str, extractor_id: str, totals: Totals, shrinkage: float | None
) -> tuple[Recogniser, Judgement]:
    """Fit the recogniser of everything, judge the run's photos, and store both, at the cost of the run's photos."""
    recogniser = Recogniser.fit(totals.total, shrinkage)
    judges = [
        Recogniser.fit(moments, shrinkage) if len(moments.labels) > 1 else None
        for moments in (totals.before, *(totals.held_out(fold) for fold in range(FOLDS)))
    ]
    judgement = _judgement(totals, judges, parents(lake))
    mine = calibrations.learn(totals, judges[1:])
    calibration = sum(calibrations.earlier(lake, run_id, extractor_id, mine.judged), mine)
    recogniser = recogniser.at(calibration.temperature)
    row = {
        "extractor_id": extractor_id,
        "run_id": run_id,
        "labels": list(recogniser.labels),
        "weights": list(recogniser.weights),
        "biases": recogniser.biases,
        "shrinkage": recogniser.shrinkage,
        "count": totals.total.count,
        "created_at": datetime.now(UTC),
        "by_label": list(judgement.by_label),
        "temperature": recogniser.temperature,
        "far": calibration.far,
        "judged": mine.judged,
        "right": mine.right,
        "certainties": mine.certainties,
        "distances": mine.distances,
        "whole": True,
    }
    lake.replace_newest("recognisers", row, "whole", "weights")
    return recogniser, judgement


def parents(lake: Lake) -> dict[str, str]:
    """Read {label: parent} from what the control plane keeps (plugins/orchard/lake/parents.py)."""
    if "hierarchy" not in lake.tables():
        return {}
    lake.demand_home("hierarchy")
    return {row.label: row.parent for row in lake.table("hierarchy").where("label IS NOT NULL").collect()}


def _judgement(totals: Totals, judges: Sequence[Recogniser | None], parents: Mapping[str, str]) -> Judgement:
    if totals.photos is None:
        return Judgement()
    judged = totals.photos.mapInArrow(_judging(judges[0], judges[1:], parents), _JUDGED).groupBy("label", "twins")
    sums = judged.agg(F.max("twin_before").alias("twin_before"), *(F.sum(count).alias(count) for count in _COUNTS))
    groups = sums.toPandas().to_dict("records")
    before, folds, before_parent, folds_parent = (
        [Judged(group["label"], group[f"judged_{kind}"], group[f"right_{kind}{of}"]) for group in groups]
        for of in ("", "_parent")
        for kind in ("before", "folds")
    )
    twins = sum(group["photos"] for group in groups if group["photos"] > 1 or group["twin_before"])
    labels_before, labels_folds = by_label(before), by_label(folds)
    rows = []
    for label in sorted({group["label"] for group in groups}):
        (right_before, judged_before), (right_folds, judged_folds) = (
            of.get(label, (0, 0)) for of in (labels_before, labels_folds)
        )
        rows.append(
            {
                "label": label,
                "right_before": right_before,
                "judged_before": judged_before,
                "right_folds": right_folds,
                "judged_folds": judged_folds,
            }
        )
    rows.sort(key=_goodness)
    return Judgement(
        Accuracy.of(before),
        Accuracy.of(folds),
        Accuracy.of(before_parent if parents else ()),
        Accuracy.of(folds_parent if parents else ()),
        int(twins),
        int(sum(group["augmented"] for group in groups)),
        tuple(rows),
    )


def _goodness(row: dict[str, str | int]) -> tuple[float, float]:
    """Sort what was judged worst first, of equal shares that of more photos, and what was not judged last."""
    right, judged = int(row["right_folds"]), int(row["judged_folds"])
    return (right / judged, -judged) if judged else (2.0, 0.0)


def _judging(before: Recogniser | None, folds: Sequence[Recogniser | None], parents: Mapping[str, str]) -> BatchTask:
    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            embeddings, fold = matrix(batch["embedding"]), batch["fold"].to_numpy()
            labels = np.asarray(batch["label"].to_pylist(), dtype=object)
            taken = ~flags(batch, "augmented")
            unseen = taken & ~flags(batch, "twin_before")
            known, right, right_parent = np.zeros((3, 2, len(batch)), bool)
            parts = [(before, 0, taken), *((one, 1, unseen & (fold == i)) for i, one in enumerate(folds))]
            for judge, kind, here in parts:
                if judge is not None and here.any():
                    known[kind, here] = np.isin(labels[here], np.asarray(judge.labels, dtype=object))
                    right[kind, here] = judge.best(embeddings[here]) == labels[here]
                    if parents:
                        best = Families.of(judge.labels, parents).best(judge.probabilities(embeddings[here]))
                        right_parent[kind, here] = best == [parents.get(label, label) for label in labels[here]]
            # A parent is right only of a photo that was judged, which is one whose label is known.
            counts = (taken, ~taken, known[0], right[0], known[1], right[1], *(right_parent & known))
            yield pa.record_batch(
                [batch["label"], batch["twins"], batch["twin_before"], *(pa.array(c.astype(np.int64)) for c in counts)],
                names=["label", "twins", "twin_before", *_COUNTS],
            )

    return judge
