"""Recognisers in a lake: judged by Spark as in one process, by what they have not seen."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from orchard.lake import parents
from orchard.lake.tables import open_catalog
from spark_jobs.exact import augmented, crossvalidation, twins
from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.exact.calibration import Calibration
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.tables import recognisers, totals
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.recognisers import Judgement
from tests.bursts import bursts
from tests.lakes import new_lake, newest, read

EXTRACTOR = "drawn-f32-0"


def fold_in(lake: Lake, run_id: str, uris: list[str], labels: list[str], embeddings: NDArray[np.float32]) -> Judgement:
    rows = [
        {"uri": uri, "etag": "1", "label": label, "embedding": embedding, "extractor_id": EXTRACTOR, "run_id": run_id}
        for uri, label, embedding in zip(uris, labels, embeddings, strict=True)
    ]
    lake.replace("embeddings", lake.rows("embeddings", rows), extractor_id=EXTRACTOR, run_id=run_id)
    sums = totals.update(lake, run_id, EXTRACTOR)
    assert sums is not None
    judgement = recognisers.update(lake, run_id, EXTRACTOR, sums, None)[1]
    if sums.photos is not None:
        sums.photos.unpersist()
    return judgement


def test_spark_judges_as_one_process_does(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    uris, labels, embeddings = bursts(labels=5, bursts=12, shots=4, apart=0.25)
    cut = [i for i, uri in enumerate(uris) if "burst-11" not in uri]
    rest = [i for i, uri in enumerate(uris) if "burst-11" in uri]

    def part(at: list[int]) -> tuple[list[str], list[str], NDArray[np.float32]]:
        return [uris[i] for i in at], [labels[i] for i in at], embeddings[at]

    first = fold_in(lake, "r1", *part(cut))
    assert (first.before.judged, first.near_twins) == (0, 220)
    alone = crossvalidation.judge(*part(cut)[1:], crossvalidation.divide(*part(cut)))
    assert first.folds == alone
    assert 0.3 < alone.share < 1.0  # type: ignore[operator]  # else nothing was tried
    assert sum(int(row["judged_folds"]) for row in first.by_label) == 220
    shares = [int(row["right_folds"]) / int(row["judged_folds"]) for row in first.by_label]
    assert shares == sorted(shares)
    row = newest(lake, "recognisers")
    assert row["by_label"] == list(first.by_label)
    learnt = crossvalidation.calibrate(*part(cut)[1:], crossvalidation.divide(*part(cut)))
    assert (row["judged"], row["right"]) == (learnt.judged, learnt.right) == (220, alone.right)
    np.testing.assert_allclose(row["certainties"], learnt.certainties, rtol=1e-9)
    np.testing.assert_array_equal(row["distances"], learnt.distances)
    everything = Recogniser.fit(Moments.of(part(cut)[2], part(cut)[1]))
    assert row["temperature"] == pytest.approx(everything.at(learnt.temperature).temperature)
    assert row["far"] == learnt.far

    # A day later: bursts that nobody saw, and shots of bursts that the lake holds, which vouch for themselves.
    old = [i for i in cut if "burst-0-" in uris[i]]
    second = fold_in(
        lake,
        "r2",
        [*part(rest)[0], *(uri.replace("burst-0-", "more-of-0-") for uri in part(old)[0])],
        [*part(rest)[1], *part(old)[1]],
        np.concatenate([part(rest)[2], part(old)[2] + np.float32(0.001)]),
    )
    yesterdays = Recogniser.fit(Moments.of(*(part(cut)[i] for i in (2, 1))))
    right = [int(np.sum(yesterdays.best(part(at)[2]) == np.array(part(at)[1]))) for at in (rest, old)]
    assert right[1] == 20
    assert (second.before.judged, second.before.right) == (40, sum(right))
    both = newest(lake, "recognisers")  # calibrated by the photos of both days
    assert (both["judged"], both["far"] is not None) == (20, True)
    mine = Calibration(20, both["right"], np.array(both["certainties"]), np.array(both["distances"]))
    assert both["far"] == (mine + learnt).far
    # Those of yesterday's bursts are not judged by the folds; each other label's new burst is judged by yesterday's.
    assert (second.folds.judged, second.near_twins) == (20, 40)

    # Without a limit of memory there is no limit of runs either; with one, the newest runs are looked through.
    monkeypatch.setattr("spark_jobs.tables.folds.EARLIER", 0)
    assert fold_in(lake, "r2", *part(old)).folds.judged == 20


def test_augmented_photos_are_learnt_from_and_not_judged(lake: Lake) -> None:
    uris, labels, embeddings = bursts(labels=5, bursts=8, shots=2, apart=0.25)
    made = ["file:///made/" + augmented.name(uri.rpartition("/")[2], 1) for uri in uris]
    x = np.concatenate([embeddings, 1 + 3 * embeddings])
    found = fold_in(lake, "r1", uris + made, labels * 2, x)
    division = crossvalidation.divide(uris + made, labels * 2, x)
    alone = crossvalidation.judge(labels * 2, x, division)
    assert found.folds.right == alone.right
    assert found.folds.low == pytest.approx(alone.low)
    assert (found.folds.judged, found.augmented, found.near_twins) == (80, 80, division.near_twins)
    row = newest(lake, "recognisers")
    assert (row["count"], row["judged"]) == (160, 80)
    # A day of nothing else: nobody is judged, and the recogniser is that of all.
    later = ["file:///made/" + augmented.name(uri.rpartition("/")[2], 2) for uri in uris]
    second = fold_in(lake, "r2", later, labels, embeddings)
    assert (second.before.judged, second.folds.judged, second.augmented, second.near_twins) == (0, 0, 80, 0)
    everything = Recogniser.fit(Moments.of(np.concatenate([x, embeddings]), labels * 3))
    np.testing.assert_allclose(newest(lake, "recognisers")["biases"], everything.biases, rtol=1e-9)


def test_parents_are_judged_by_the_sum_of_their_labels(lake: Lake, tmp_path: Path) -> None:
    """Mistakes among the labels of one parent are none about the parent."""
    uris, labels, embeddings = bursts(labels=6, bursts=8, shots=2, apart=0.25)
    alone = fold_in(lake, "r1", uris, labels, embeddings)
    assert alone.folds_parent == Accuracy()
    of = {f"label-{i}": "even" if i % 2 == 0 else "odd" for i in range(5)}  # label-5 is its own parent
    parents.write(open_catalog(str(tmp_path / "of fruit")), "orchard", "parent/2", of, None)
    of_fruit = new_lake(tmp_path / "of fruit")
    of_fruit.create_tables("embeddings", "moments", "recognisers")
    judged = fold_in(of_fruit, "r1", uris, labels, embeddings)
    assert (judged.folds, judged.by_label) == (alone.folds, alone.by_label)

    division = crossvalidation.divide(uris, labels, embeddings)
    right = 0
    for number in range(twins.FOLDS):
        here = division.folds == number
        one = Recogniser.fit(Moments.of(embeddings[~here], np.array(labels)[~here]))
        for label, chances in zip(np.array(labels)[here], one.probabilities(embeddings[here]), strict=True):
            sums: dict[str, float] = {}
            for name, chance in zip(one.labels, chances, strict=True):
                sums[of.get(name, name)] = sums.get(of.get(name, name), 0.0) + chance
            right += max(sums, key=lambda name: sums[name]) == of.get(label, label)
    assert (judged.folds_parent.right, judged.folds_parent.judged) == (right, len(uris))
    assert judged.folds.right < right < len(uris)  # else nothing was tried


def test_of_several_views_fewer_are_near_twins(lake: Lake) -> None:
    uris, labels, _ = bursts(labels=3, bursts=30, shots=1, apart=0.0)
    embeddings = np.abs(np.random.default_rng(0).normal(size=(90, 64)) * np.geomspace(1, 1e-2, 64)).astype(np.float32)
    fold_in(lake, "r1", uris, labels, embeddings)
    told = []
    for views in (1, 3):
        sums = totals.update(lake, "r1", EXTRACTOR, None, views)
        assert sums is not None and sums.photos is not None
        told.append(sums.photos.select("label", "twins").distinct().count())
        sums.photos.unpersist()
        division = crossvalidation.divide(uris, labels, embeddings, near=twins.threshold(views))
        assert told[-1] == len(set(division.groups))
    assert told[0] < told[1]  # else nothing was tried


def test_no_more_tasks_than_there_are_slots(lake: Lake) -> None:
    """Each starts a Python: of a cluster's default, 200, a small day would wait for most."""
    uris, labels, embeddings = bursts(labels=3, bursts=6, shots=2, apart=30.0)
    lake.spark.conf.set("spark.sql.shuffle.partitions", "200")
    fold_in(lake, "r1", uris, labels, embeddings)
    sums = totals.update(lake, "r1", EXTRACTOR)
    assert sums is not None and sums.photos is not None
    assert sums.photos.rdd.getNumPartitions() == lake.spark.sparkContext.defaultParallelism
    sums.photos.unpersist()


def test_a_label_that_is_new_is_not_judged_by_the_recogniser_before(lake: Lake) -> None:
    uris, labels, embeddings = bursts(labels=3, bursts=6, shots=2, apart=30.0)
    known = [i for i, label in enumerate(labels) if label != "label-2"]
    new = [i for i, label in enumerate(labels) if label == "label-2"]
    fold_in(lake, "r1", [uris[i] for i in known], [labels[i] for i in known], embeddings[known])
    second = fold_in(lake, "r2", [uris[i] for i in new], [labels[i] for i in new], embeddings[new])
    assert (second.before.judged, second.before.share) == (0, None)
    assert (second.folds.judged, second.folds.right) == (12, 12)


def test_two_photos_of_two_labels_are_judged_by_nobody(lake: Lake) -> None:
    uris, labels, embeddings = bursts(labels=2, bursts=1, shots=1, apart=1.0)
    judgement = fold_in(lake, "r1", uris, labels, embeddings)
    assert (judgement.before.share, judgement.folds.share, judgement.near_twins, judgement.worst) == (None, None, 0, ())
    assert twins.FOLDS == 5


def test_a_lake_from_before_gets_the_new_columns_and_keeps_its_rows(spark: None, tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    lake.spark.sql(
        f"CREATE TABLE {lake.name('recognisers')} (extractor_id string, run_id string, labels array<string>, "
        "weights array<array<double>>, biases array<double>, shrinkage double, count bigint, accuracy double, "
        "accuracy_photos bigint, created_at timestamp) USING iceberg PARTITIONED BY (extractor_id, run_id)"
    )
    lake.spark.sql(
        f"INSERT INTO {lake.name('recognisers')} VALUES ('{EXTRACTOR}', 'r0', array('Fig'), array(array(1.0D)), "
        "array(0.0D), 0.1D, 3, 0.99D, 3, timestamp '2026-01-01 00:00:00')"
    )
    lake.create_tables("embeddings", "moments", "recognisers")
    judgement = fold_in(lake, "r1", *bursts(labels=2, bursts=6, shots=2, apart=30.0))
    old, new = sorted(read(lake, "recognisers"), key=lambda row: str(row["run_id"]))
    assert (old["accuracy"], old["by_label"]) == (0.99, None)
    assert (new["accuracy"], new["by_label"]) == (None, list(judgement.by_label))
    lake.create_tables("recognisers")  # once more: nothing to add
