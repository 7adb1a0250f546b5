"""Table maintenance: fewer files, no older snapshots, nothing else; and the lake grows on as if it had not been."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchard.lake import ledger
from orchard.lake.tables import open_catalog
from spark_jobs import extract_embeddings, maintain_tables, reduce_embeddings
from spark_jobs.exact.basis import Request
from spark_jobs.extract_embeddings import extract
from spark_jobs.maintain_tables import Maintained, main, maintain
from spark_jobs.reduce_embeddings import Options, reduce_run
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.location import LakeLocation
from spark_jobs.tables.session import open_lake
from tests.lakes import contents, new_lake, row, sample, set_batch

OPTIONS = Options(Request(components=4, variance=None), refit="always", shrinkage=0.1)
DATA = {  # apart from the times at which something was computed
    "batches": ("uri", "etag", "action", "run_id"),
    "embeddings": ("uri", "etag", "label", "embedding", "run_id"),
    "rejects": ("uri", "reason", "run_id"),
    "moments": ("run_id", "count", "moments_id", "total_count", "covers"),
    "coordinates": ("uri", "coordinates", "basis_id", "run_id"),
    "recognisers": ("run_id", "labels", "weights", "biases", "count"),
}


def day(lake: Lake, run_id: str, artefact: Path, rows: list[dict[str, Any]]) -> None:
    set_batch(lake, run_id, artefact.stem, rows)
    again(lake, run_id, artefact)


def again(lake: Lake, run_id: str, artefact: Path) -> None:
    extract(lake, run_id, artefact.stem, str(artefact))
    reduce_run(lake, run_id, artefact.stem, OPTIONS)


def everything(lake: Lake) -> dict[str, Any]:
    return {table: contents(lake, table, *columns) for table, columns in DATA.items()}


def metadata(lake: Lake, table: str, part: str) -> list[Any]:
    return lake.spark.sql(f"SELECT * FROM {lake.name(table)}.{part}").collect()


@pytest.mark.long
def test_a_maintained_lake_grows_as_one_that_is_not(
    spark: None, small_artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain_tables, "KEPT_SNAPSHOTS", 2)
    photos = sample(tmp_path / "photos", per_label=6, labels=3)
    broken = tmp_path / "photos" / "Broken" / "0.jpg"
    broken.parent.mkdir()
    broken.write_bytes(b"no photo")
    lake = new_lake(tmp_path / "lake")
    day(lake, "r1", small_artefact, [row(path) for path in [*photos[:9], broken]])
    day(lake, "r2", small_artefact, [row(path) for path in photos[9:14]] + [row(photos[0], "delete")])
    # Photos came in several files, as when many tasks wrote them.
    lake.table("embeddings", run_id="r1").repartition(3).writeTo(lake.name("embeddings")).overwritePartitions()
    orphan = next(Path(lake.location.root).rglob("tables/**/run_id=r1/*.parquet")).with_name("killed.parquet")
    orphan.write_bytes(b"half a file")
    before = everything(lake)
    files, snapshots = len(metadata(lake, "embeddings", "files")), len(metadata(lake, "embeddings", "snapshots"))
    assert files >= 4  # of two runs

    young = maintain(lake, keep_days=30)
    assert (young.tables, young.snapshots_expired, young.files_deleted, young.orphans_deleted) == (8, 0, 0, 0)
    assert young.files_after <= young.files_before - (files - 2)
    assert orphan.exists()
    assert len(metadata(lake, "embeddings", "files")) == 2
    assert everything(lake) == before
    assert len(contents(lake, "bases", "basis_id")) == 2

    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=31)
    old = maintain(lake, keep_days=30, now=later)
    assert old.snapshots_expired >= snapshots - 2 > 0
    assert old.files_deleted > 0
    assert old.orphans_deleted == 1
    assert not orphan.exists()
    assert len(metadata(lake, "embeddings", "snapshots")) == 2
    assert everything(lake) == before
    in_use = {part.partition.basis_id for part in metadata(lake, "coordinates", "partitions")}
    assert {basis_id for (basis_id,) in contents(lake, "bases", "basis_id")} == in_use
    assert len(in_use) == 1

    # The same days in a lake that nobody maintains; a run that was killed and done again, and a new one.
    plain = new_lake(tmp_path / "plain")
    day(plain, "r1", small_artefact, [row(path) for path in [*photos[:9], broken]])
    day(plain, "r2", small_artefact, [row(path) for path in photos[9:14]] + [row(photos[0], "delete")])
    for one in (lake, plain):
        again(one, "r1", small_artefact)
        day(one, "r3", small_artefact, [row(path) for path in photos[14:]] + [row(photos[1], "delete")])
    grown, expected = everything(lake), everything(plain)
    for table in ("batches", "embeddings", "rejects"):
        assert grown[table] == expected[table]
    assert len(grown["embeddings"]) == 16
    _assert_same_fit(lake, plain)

    catalog = open_catalog(lake.location.root)
    assert ledger.behind(catalog, "orchard", small_artefact.stem) == []
    assert ledger.unfinished(catalog, "orchard") == [ledger.Run(f"r{day}", small_artefact.stem) for day in (1, 2, 3)]
    assert not ledger.maintenance_due(catalog, "orchard", 7, later + timedelta(days=7))
    assert ledger.maintenance_due(catalog, "orchard", 7, later + timedelta(days=7, seconds=1))


def _assert_same_fit(lake: Lake, other: Lake) -> None:
    (mine,), (theirs,) = (
        one.table("bases").orderBy("created_at", ascending=False).select("eigenvalues", "count").take(1)
        for one in (lake, other)
    )
    assert mine["count"] == theirs["count"] == 16
    assert mine["eigenvalues"] == pytest.approx(theirs["eigenvalues"], rel=1e-10, abs=1e-10)


def test_main_leaves_what_it_did(spark: None, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    open_catalog(str(root))
    main(["--lake", str(root), "--run-id", "r1", "--keep-days", "0.5"])
    did = json.loads((root / "steps" / "r1" / "maintain.json").read_text())
    assert Maintained(**did) == Maintained(tables=2)
    assert "orchard.maintained-at" in open_catalog(str(root)).load_table("orchard.batches").properties


@pytest.mark.parametrize("days", ["-1", "nan"])
def test_days_that_cannot_be_meant(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--lake", "x", "--run-id", "r1", "--keep-days", days])
    assert f"--keep-days: expected 0 or more, got {days}." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("step", "more"),
    [
        (maintain_tables, []),
        (extract_embeddings, ["--extractor", "nothing.zip"]),
        (reduce_embeddings, ["--extractor-id", "e"]),
    ],
)
def test_a_database_that_the_lake_has_not(
    step: Any, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every step, without Spark."""
    root, nowhere = tmp_path / "lake", tmp_path / "nowhere"
    open_catalog(str(root))
    for lake, says in (
        (root, f"error: The lake {root} has no database 'second', expected orchard (--database).\n"),
        (
            nowhere,
            f"error: There is no lake at {nowhere}: `python -m spark_jobs.run_local PHOTOS --lake DIR` makes one.",
        ),
    ):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as ended:
            step.main(["--lake", str(lake), "--database", "second", "--run-id", "r", *more])
        assert (ended.value.code, capsys.readouterr().err.strip()) == (2, says.strip())
        assert sorted(tmp_path.rglob("*")) == before


def test_a_database_that_glue_has_not(
    spark: None, aws: object, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root, database = f"s3://{bucket}/lake", bucket.replace("-", "_")
    open_catalog(root, database)
    for lake, says in (
        (root, f"the lake {root} was made as {database}."),
        (f"{root}-too", f"there is no lake at {root}-too."),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["--lake", lake, "--database", f"{database}_2", "--run-id", "r"])
        said = capsys.readouterr().err.splitlines()[-1]
        assert (ended.value.code, said) == (2, f"error: Glue has no database '{database}_2' (--database): {says}")


def test_a_lake_in_a_bucket(spark: None, aws: object, bucket: str) -> None:
    """Its files are listed and deleted through S3FileIO: a cluster's Hadoop need not know the bucket."""
    root, database, s3 = f"s3://{bucket}/lake", bucket.replace("-", "_"), boto3.client("s3")
    open_catalog(root, database)
    lake = open_lake(LakeLocation.parse(root, database), "tests")
    lake.create_tables("rejects")
    for number in range(3):
        rejected = {"uri": f"{number}.jpg", "etag": "1", "reason": "empty", "extractor_id": "e1", "run_id": "r1"}
        lake.rows("rejects", [rejected]).writeTo(lake.name("rejects")).append()
    (key, *_) = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"] if one["Key"].endswith(".parquet")]
    orphan = f"{key.rpartition('/')[0]}/killed.parquet"
    s3.put_object(Bucket=bucket, Key=orphan, Body=b"half a file")
    did = maintain(lake, keep_days=30, now=datetime.now(UTC) + timedelta(days=31))
    assert (did.files_before, did.files_after, did.orphans_deleted) == (3, 1, 1)
    keys = {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert orphan not in keys
    assert key in keys  # of a snapshot that is kept
    rows = open_catalog(root, database).load_table((database, "rejects")).scan().to_arrow()
    assert sorted(rows["uri"].to_pylist()) == [f"{number}.jpg" for number in range(3)]
