import sqlite3
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.update.schema import UpdateSchema
from pyiceberg.transforms import IdentityTransform

from orchard.lake.home import AnotherLakeError
from orchard.lake.tables import (
    BATCHES,
    RUNS,
    ConflictError,
    NoAwsError,
    append,
    existing_catalog,
    open_catalog,
    replace_run,
    table_or_none,
)

RUN = pa.schema([("run_id", pa.string()), ("added", pa.int64())])


def run(*run_ids: str) -> pa.Table:
    return pa.table({"run_id": list(run_ids), "added": [len(run_ids)] * len(run_ids)}, RUN)


@pytest.mark.parametrize("name", ["lake", "new/lake", "my lake", "läke +=~", "läke 🍎"])
def test_a_local_lake(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    for spelled in (str(root), f"{root}/", f"file://{root}"):
        catalog = open_catalog(spelled)
    assert sorted(path.name for path in root.iterdir()) == ["catalog.db", "tables"]
    assert sorted(catalog.list_tables("orchard")) == [("orchard", "batches"), ("orchard", "runs")]
    append(catalog.load_table("orchard.runs"), [run("r1")])
    again = open_catalog(str(root))
    assert again.load_table("orchard.runs").scan(selected_fields=("run_id",)).to_arrow().to_pylist() == [
        {"run_id": "r1"}
    ]
    assert [path.name for path in tmp_path.iterdir()] == [name.partition("/")[0]]


def test_two_runs_at_once(tmp_path: Path) -> None:
    """An append is tried again by pyiceberg itself; once it has given up, it is told."""
    catalog = open_catalog(str(tmp_path))
    with catalog.load_table("orchard.runs").transaction() as change:
        change.set_properties({"commit.retry.num-retries": "0"})
    mine, theirs = catalog.load_table("orchard.runs"), catalog.load_table("orchard.runs")
    append(theirs, [run("r1")])
    with pytest.raises(ConflictError) as conflict:
        append(mine, [run("r2")])
    assert str(conflict.value) == (
        "Another run wrote to the table runs of the lake meanwhile, and this one left it as it was. "
        "Nothing is lost: the next try does it again, on what is there then."
    )
    assert mine.refresh().scan(selected_fields=("run_id",)).to_arrow().to_pylist() == [{"run_id": "r1"}]
    append(mine, [run("r2")])


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_catalog("lake")
    assert (tmp_path / "lake" / "catalog.db").is_file()


@pytest.mark.parametrize(("name", "odd"), [("a?b", "?"), ("a#b", "#"), ("50%", "%"), ("a#?b%20", "# or % or ?")])
def test_a_folder_that_addresses_cannot_name_is_refused(tmp_path: Path, name: str, odd: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_catalog(str(tmp_path / name))
    assert str(caught.value) == f"{tmp_path / name}: expected a folder for the lake without {odd} in its path."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opening", [open_catalog, existing_catalog])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_PROFILE", "nowhere", "The config profile (nowhere) could not be found"),
        ("AWS_REGION", None, "You must specify a region"),
    ],
)
def test_an_aws_that_cannot_be_asked_is_one_sentence(
    aws: Any,
    monkeypatch: pytest.MonkeyPatch,
    opening: Callable[[str], Catalog],
    name: str,
    value: str | None,
    said: str,
) -> None:
    if value is None:
        monkeypatch.delenv("AWS_REGION")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(NoAwsError) as caught:
        opening("s3://bucket/lake")
    assert str(caught.value) == (
        f"AWS cannot be asked: {said}; expected credentials, a region (AWS_REGION), and of AWS_PROFILE, where it is "
        "set, a profile that AWS' configuration has."
    )


def test_a_profile_without_a_name_is_none(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "")
    database = f"db_{uuid.uuid4().hex[:8]}"
    assert len(open_catalog(f"s3://{bucket}/lake", database).list_tables(database)) == 2


def test_spark_finds_the_tables_under_its_own_catalogs_name(tmp_path: Path) -> None:
    open_catalog(str(tmp_path), "fruit")
    db = sqlite3.connect(tmp_path / "catalog.db")
    rows = db.execute("SELECT catalog_name, table_namespace, table_name, metadata_location FROM iceberg_tables")
    found = sorted(rows.fetchall())
    db.close()
    assert [row[:3] for row in found] == [("orchard", "fruit", "batches"), ("orchard", "fruit", "runs")]
    assert all(row[3].startswith(f"{tmp_path}/tables/fruit") for row in found)


def test_a_lake_is_one_databases(tmp_path: Path) -> None:
    begun = open_catalog(str(tmp_path), "one")
    open_catalog(str(tmp_path), "two")  # nothing was written yet
    append(begun.load_table("one.batches"), [pa.table({"run_id": ["r1"]}, pa.schema([("run_id", pa.string())]))])
    with pytest.raises(AnotherLakeError) as caught:
        open_catalog(str(tmp_path), "three")
    assert str(caught.value) == (
        f"The lake {tmp_path} is that of the database one: exports, reports and pictures of a second one would take "
        "the place of its own. Give the database three a lake of its own (setting lake), or name one."
    )
    assert sorted(begun.list_namespaces()) == [("one",), ("two",)]
    open_catalog(str(tmp_path), "two")  # as an older lake's second database, which goes on

    (tmp_path / "catalog.db").unlink()
    with pytest.raises(AnotherLakeError, match="holds tables of the database one that its catalog does not know"):
        open_catalog(str(tmp_path), "one")


@pytest.mark.parametrize("name", ["fruits-360", "Fruits", "a" * 253, "früchte", "a.b"])
def test_a_databases_name_that_not_everyone_takes(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_catalog(str(tmp_path), name)
    expected = "1 to 252 of a-z, 0-9 and _, which Glue, Athena and Iceberg all take."
    assert str(caught.value) == f"database {name!r}: expected {expected}"


def test_the_tables_that_the_control_plane_writes(tmp_path: Path) -> None:
    catalog = open_catalog(str(tmp_path))
    batches, runs = catalog.load_table("orchard.batches"), catalog.load_table("orchard.runs")
    assert batches.schema().as_struct() == BATCHES.as_struct()
    assert runs.schema().as_struct() == RUNS.as_struct()
    assert [(field.name, str(field.transform)) for field in batches.spec().fields] == [("run_id", "identity")]
    assert runs.spec().fields == ()


def of_an_older_version(catalog: Catalog, database: str, name: str, schema: Schema, columns: int) -> Table:
    """Make a table anew, with the first few of its columns."""
    catalog.drop_table((database, name))
    old = Schema(*schema.fields[:columns])
    by_run = PartitionField(old.find_field("run_id").field_id, 1000, IdentityTransform(), "run_id")
    return catalog.create_table((database, name), old, partition_spec=PartitionSpec(by_run))


@pytest.mark.parametrize("place", ["disk", "s3"])
def test_an_older_lake_gets_the_columns_that_it_lacks(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if place == "s3":
        request.getfixturevalue("aws")
    root = str(tmp_path) if place == "disk" else f"s3://{request.getfixturevalue('bucket')}"
    database = f"db_{uuid.uuid4().hex[:8]}"
    catalog = open_catalog(root, database)
    append(of_an_older_version(catalog, database, "runs", RUNS, 20), [run("r1"), run("r2")])
    of_an_older_version(catalog, database, "batches", BATCHES, 9)
    opened = open_catalog(root, database)
    runs, batches = opened.load_table((database, "runs")), opened.load_table((database, "batches"))
    assert runs.schema().as_struct() == RUNS.as_struct()
    assert batches.schema().as_struct() == BATCHES.as_struct()
    replace_run(opened, database, {"run_id": "r2", "left": 3})
    append(runs.refresh(), [run("r3")])
    rows = runs.refresh().scan().to_arrow().to_pylist()
    assert sorted((row["run_id"], row["added"], row["left"]) for row in rows) == [
        ("r1", 1, None),
        ("r2", None, 3),
        ("r3", 1, None),
    ]
    assert (len(runs.spec().fields), len(batches.spec().fields)) == (0, 1)
    before = runs.metadata_location
    assert open_catalog(root, database).load_table((database, "runs")).metadata_location == before


def test_two_that_open_an_older_lake_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = open_catalog(str(tmp_path))
    of_an_older_version(catalog, "orchard", "runs", RUNS, 20)
    union = UpdateSchema.union_by_name

    def late(self: UpdateSchema, schema: Schema) -> UpdateSchema:
        with monkeypatch.context() as undisturbed:
            undisturbed.setattr(UpdateSchema, "union_by_name", union)
            open_catalog(str(tmp_path))
        return union(self, schema)

    monkeypatch.setattr(UpdateSchema, "union_by_name", late)
    opened = open_catalog(str(tmp_path))
    assert opened.load_table("orchard.runs").schema().as_struct() == RUNS.as_struct()


class TestReplaceRun:
    def rows(self, catalog: Catalog) -> dict[str, dict[str, Any]]:
        rows = catalog.load_table("orchard.runs").scan().to_arrow().to_pylist()
        assert len({row["run_id"] for row in rows}) == len(rows)
        return {row["run_id"]: {name: value for name, value in row.items() if value is not None} for row in rows}

    def test_it_is_added_or_replaced_in_one_commit(self, tmp_path: Path) -> None:
        catalog = open_catalog(str(tmp_path))
        now = datetime.now(UTC)
        alike = "scheduled__2026-01-01T00-00-00"
        for number, run_id in enumerate((f"{alike}_1", f"{alike}_2", 'it\'s "odd" #1%')):
            replace_run(catalog, "orchard", {"run_id": run_id, "added": number})
        before = self.rows(catalog)
        log = len(catalog.load_table("orchard.runs").metadata.metadata_log)
        row = {"run_id": f"{alike}_1", "ended_at": now, "embed_seconds": 1.5, "left": 0, "report": "s3://b/r.html"}
        replace_run(catalog, "orchard", row)
        assert self.rows(catalog) == before | {f"{alike}_1": row}
        assert len(catalog.load_table("orchard.runs").metadata.metadata_log) == log + 1
        replace_run(catalog, "orchard", row)
        assert self.rows(catalog) == before | {f"{alike}_1": row}

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"run_id": "r1", "colour": 1, "apple": 2}, "The table runs has no column apple, colour; it has run_id, "),
            ({"added": 1}, "Expected a row of runs with its run_id, got {'added': 1}."),
            ({"run_id": ""}, "Expected a row of runs with its run_id, got {'run_id': ''}."),
        ],
    )
    def test_rows_that_are_refused(self, tmp_path: Path, row: dict[str, Any], message: str) -> None:
        catalog = open_catalog(str(tmp_path))
        with pytest.raises(ValueError) as caught:
            replace_run(catalog, "orchard", row)
        assert str(caught.value).startswith(message)
        assert self.rows(catalog) == {}


def test_a_table_that_a_step_makes_later(tmp_path: Path) -> None:
    catalog = open_catalog(str(tmp_path))
    assert table_or_none(catalog, "orchard", "embeddings") is None
    assert table_or_none(catalog, "no database", "embeddings") is None
    table = table_or_none(catalog, "orchard", "runs")
    assert table is not None
    assert table.name() == ("orchard", "runs")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("orchard.embeddings")


class TestAppend:
    @pytest.fixture
    def table(self, tmp_path: Path) -> Any:
        return open_catalog(str(tmp_path)).load_table("orchard.runs")

    def rows(self, table: Any) -> list[str]:
        return sorted(table.refresh().scan().to_arrow()["run_id"].to_pylist())

    def test_chunks_are_one_commit(self, table: Any) -> None:
        versions = len(table.metadata.metadata_log)
        assert append(table, iter([run("a", "b"), run(), run("c")])) == 3
        assert self.rows(table) == ["a", "b", "c"]
        assert len(table.metadata.metadata_log) == versions + 1

    @pytest.mark.parametrize("chunks", [[], [run()], [run(), run()]])
    def test_nothing_is_no_commit(self, table: Any, chunks: list[pa.Table]) -> None:
        assert append(table, chunks) == 0
        assert table.refresh().current_snapshot() is None

    def test_a_failure_midway_writes_nothing(self, table: Any) -> None:
        def chunks() -> Iterator[pa.Table]:
            yield run("a")
            raise ConnectionError("the listing broke off")

        with pytest.raises(ConnectionError, match="broke off"):
            append(table, chunks())
        assert self.rows(table) == []
        assert append(table, [run("b")]) == 1
        assert self.rows(table) == ["b"]

    def test_columns_may_be_missing_and_are_null(self, table: Any) -> None:
        append(table, [run("a")])
        (row,) = table.refresh().scan().to_arrow().to_pylist()
        assert {name: value for name, value in row.items() if value is not None} == {"run_id": "a", "added": 1}


@pytest.mark.parametrize("prefix", ["", "/deep/er/"])
def test_a_lake_in_a_bucket(aws: Any, bucket: str, prefix: str) -> None:
    database = f"db_{uuid.uuid4().hex[:8]}"
    root = f"s3://{bucket}{prefix}"
    for _ in range(2):
        catalog = open_catalog(root, database)
    assert sorted(catalog.list_tables(database)) == [(database, "batches"), (database, "runs")]
    table = catalog.load_table((database, "runs"))
    assert table.location().startswith(f"{root.rstrip('/')}/tables/{database}.db/runs")
    assert append(table, [run("a"), run("b")]) == 2
    assert open_catalog(root, database).load_table((database, "runs")).scan().to_arrow().num_rows == 2
    keys = [item["Key"] for item in aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert all(key.startswith(f"{prefix.strip('/')}/tables/".lstrip("/")) for key in keys)
    assert [t["Name"] for t in aws.client("glue").get_tables(DatabaseName=database)["TableList"]] == ["batches", "runs"]


def test_two_lakes_in_one_database_are_refused(aws: Any, bucket: str) -> None:
    database = f"db_{uuid.uuid4().hex[:8]}"
    open_catalog(f"s3://{bucket}/lake", database)
    with pytest.raises(AnotherLakeError) as error:
        open_catalog(f"s3://{bucket}/lake2", database)
    assert str(error.value) == (
        f"The tables of this database are at s3://{bucket}/lake/tables/{database}.db/batches, not in the lake "
        f"s3://{bucket}/lake2: they are another lake's. Give this one a database of its own (setting database); "
        f"if it is a copy of that lake, make it one: python -m spark_jobs.move_lake s3://{bucket}/lake2 --database NAME"
    )


def test_endpoints_of_the_services_come_first(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", aws.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", aws.url)
    monkeypatch.delenv("AWS_REGION")
    database = f"db_{uuid.uuid4().hex[:8]}"
    catalog = open_catalog(f"s3://{bucket}", database)
    assert append(catalog.load_table((database, "runs")), [run("a")]) == 1


def test_properties_come_before_the_environment(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an Airflow connection gives them: neither credentials nor endpoints nor region are the environment's."""
    for name in aws.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_REGION", "eu-nowhere-1")
    database = f"db_{uuid.uuid4().hex[:8]}"
    properties = {"client.access-key-id": "test", "client.secret-access-key": "test", "client.region": "eu-west-1"}
    properties |= {"glue.endpoint": aws.url, "s3.endpoint": aws.url}
    catalog = open_catalog(f"s3://{bucket}", database, properties)
    assert append(catalog.load_table((database, "runs")), [run("a")]) == 1
