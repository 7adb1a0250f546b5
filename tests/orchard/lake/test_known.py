"""What is known of photos equals what the tables hold, whatever happened to their files; old files are not opened."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, EqualTo, In
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import FloatType, ListType, NestedField, StringType

from orchard.lake import known
from orchard.lake.scratch import scratch
from orchard.lake.tables import open_catalog

NAMES = {
    "embeddings": ("uri", "etag", "label", "extractor_id", "run_id", "embedding"),
    "rejects": ("uri", "etag", "extractor_id", "reason", "run_id"),
}
Row = tuple[str, str, str | None, bool]


class Lake:
    def __init__(self, folder: Path) -> None:
        self.catalog: Catalog = open_catalog(str(folder))
        for name, columns in NAMES.items():
            fields = [NestedField(i, column, StringType(), required=False) for i, column in enumerate(columns, start=1)]
            if name == "embeddings":
                fields[-1] = NestedField(6, "embedding", ListType(7, FloatType(), False), required=False)
            schema = Schema(*fields)
            parts = [
                PartitionField(schema.find_field(column).field_id, 1000 + i, IdentityTransform(), column)
                for i, column in enumerate(("extractor_id", "run_id"))
            ]
            self.catalog.create_table(("orchard", name), schema, partition_spec=PartitionSpec(*parts))

    def append(self, name: str, run_id: str, uris: list[str], extractor_id: str = "x") -> None:
        table = self.catalog.load_table(("orchard", name))
        rows = [
            {
                "uri": uri,
                "etag": f"{uri}-{run_id}",
                "label": "Fig",
                "reason": "no label by the rule" if uri.endswith("0") else "broken",
                "extractor_id": extractor_id,
                "run_id": run_id,
                "embedding": [1.0, 2.0],
            }
            for uri in uris
        ]
        schema = table.schema().as_arrow()
        table.append(pa.Table.from_pylist([{k: row[k] for k in schema.names} for row in rows], schema))

    def delete(self, name: str, run_id: str, uris: list[str]) -> None:
        self.catalog.load_table(("orchard", name)).delete(And(EqualTo("run_id", run_id), In("uri", uris)))

    def load(self, write: bool = True) -> list[Row]:
        with scratch() as db:
            known.load(db, self.catalog, "orchard", "x", ["u1", "v"], write=write)
            under = db.execute("SELECT DISTINCT uri[:1] FROM known WHERE uri[:2] <> 'u1'").fetchall()
            assert set(under) <= {("v",)}
            assert db.execute("SELECT 1 FROM elsewhere WHERE uri[:2] = 'u1' OR uri[:1] = 'v'").fetchall() == []
            return sorted(db.execute("SELECT uri, etag, label, judged FROM held").fetchall(), key=str)

    def scan(self) -> list[Row]:
        """Read the tables themselves."""
        found: list[Row] = []
        for name in NAMES:
            for row in self.catalog.load_table(("orchard", name)).scan("extractor_id = 'x'").to_arrow().to_pylist():
                judged = name == "embeddings" or row["reason"].startswith("no label")
                found.append((row["uri"], row["etag"], row.get("label"), judged))
        return sorted(found, key=str)

    def rows(self) -> list[dict[str, Any]]:
        return self.catalog.load_table("orchard.known").scan().to_arrow().to_pylist()


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr(known, "FEW", 2)
    return Lake(tmp_path)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.filterwarnings("ignore:Merge on read is not yet supported:UserWarning")
@pytest.mark.filterwarnings("ignore:Delete operation did not match any records:UserWarning")
def test_what_is_known_is_what_the_tables_hold(lake: Lake, seed: int) -> None:
    chance, uris, runs = random.Random(seed), [f"u{number}" for number in range(30)], ["r1"]
    for number in range(15):
        name = chance.choice(["embeddings", "embeddings", "rejects"])
        some, run = chance.sample(uris, 4), chance.choice(runs)
        match chance.choice(["append", "append", "again", "delete", "other"]):
            case "append":
                runs.append(f"r{number + 2}")
                lake.append(name, runs[-1], some)
            case "again":
                lake.append(name, run, some)
            case "delete":
                lake.delete(name, run, some)
            case "other":
                lake.append(name, run, some, "y")
        if chance.random() < 0.6:
            assert lake.load(write=chance.random() < 0.8) == lake.scan()
    assert lake.load() == lake.load() == lake.scan() != []
    held = {row["file"] for row in lake.rows()}
    assert held  # or nothing of this was tried


def test_files_that_are_known_are_not_opened(lake: Lake, tmp_path: Path) -> None:
    for number in range(3):
        lake.append("embeddings", f"r{number}", [f"u{number}", f"v{number}"])
    expected = lake.scan()
    assert lake.load() == expected
    assert len(lake.rows()) == 6
    for file in (tmp_path / "tables" / "orchard" / "embeddings" / "data").rglob("*.parquet"):
        file.unlink()
    assert lake.load() == expected


def test_few_files_are_read_themselves(lake: Lake) -> None:
    lake.append("embeddings", "r1", ["u"])
    lake.append("rejects", "r1", ["v0", "w"])
    assert lake.load() == [("u", "u-r1", "Fig", True), ("v0", "v0-r1", None, True), ("w", "w-r1", None, False)]
    assert not lake.catalog.table_exists("orchard.known")


def test_a_look_keeps_nothing(lake: Lake) -> None:
    for number in range(5):
        lake.append("embeddings", f"r{number}", [f"u{number}"])
    assert lake.load(write=False) == lake.scan()
    assert not lake.catalog.table_exists("orchard.known")


def test_what_is_gone_is_swept_away(lake: Lake) -> None:
    for number in range(4):
        lake.append("embeddings", f"r{number}", [f"u{number}"])
    lake.load()
    assert len(lake.rows()) == 4
    for number in range(3):
        lake.catalog.load_table("orchard.embeddings").delete(EqualTo("run_id", f"r{number}"))
    assert lake.load() == lake.scan()
    assert [row["uri"] for row in lake.rows()] == ["u3"]


def test_a_lake_that_holds_nothing(tmp_path: Path) -> None:
    catalog = open_catalog(str(tmp_path))
    with scratch() as db:
        known.load(db, catalog, "orchard", "x", ["u"])
        assert db.execute("SELECT * FROM held").fetchall() == []
