import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.expressions import EqualTo, StartsWith
from pyiceberg.table import Table

from benchmarks.discovery import _read_bytes as read_bytes
from orchard.lake import stream as module
from orchard.lake.stream import _groups, stream
from orchard.lake.tables import open_catalog
from tests import tables


@pytest.fixture
def embeddings(tmp_path: Path) -> Table:
    """Make a table of three files, one of which lacks a photo since."""
    catalog = open_catalog(str(tmp_path))
    for run in range(3):
        rows = [
            {"uri": f"s3://b/{run}/{i}", "extractor_id": "e" if i < 3 else "f", "run_id": f"r{run}", "label": "a"}
            for i in range(4)
        ]
        tables.fill(catalog, "embeddings", rows)
    table = catalog.load_table("orchard.embeddings")
    table.delete(EqualTo("uri", "s3://b/1/1"))
    return table


def uris(parts: Iterable[pa.Table]) -> list[str]:
    return sorted(uri for part in parts for uri in part["uri"].to_pylist())


@pytest.mark.parametrize("rows", [1, 6, 1000])
def test_all_rows_that_fit_whatever_is_held_at_once(
    embeddings: Table, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", rows)
    parts = list(stream(embeddings, EqualTo("extractor_id", "e"), "uri", "label"))
    assert {name for part in parts for name in part.column_names} == {"uri", "label"}
    assert uris(parts) == [f"s3://b/{run}/{i}" for run in range(3) for i in range(3) if (run, i) != (1, 1)]
    assert len(parts) == {1: 3, 6: 2, 1000: 1}[rows]
    assert uris(stream(embeddings, StartsWith("uri", "s3://b/2"), "uri")) == [f"s3://b/2/{i}" for i in range(4)]


def test_a_table_without_rows(tmp_path: Path) -> None:
    batches = open_catalog(str(tmp_path)).load_table("orchard.batches")
    assert list(stream(batches, EqualTo("run_id", "r"), "uri")) == []


class Task:
    """A file to be read."""

    def __init__(self, rows: int) -> None:
        self.file, self.record_count = self, rows


@given(sizes=st.lists(st.integers(0, 300_000)))
def test_groups_of_files_are_small_and_miss_none(sizes: list[int]) -> None:
    tasks: Any = [Task(rows) for rows in sizes]
    groups = list(_groups(tasks))
    assert [task for group in groups for task in group] == tasks
    assert all(len(group) == 1 or sum(task.file.record_count for task in group) <= 200_000 for group in groups)


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has read is in Linux' /proc")
def test_vectors_stay_where_they_are(tmp_path: Path) -> None:
    catalog = open_catalog(str(tmp_path))
    vectors = np.random.default_rng(0).random((5_000, 500), dtype=np.float32)
    tables.fill(catalog, "embeddings", [{"uri": f"s3://b/{i}", "embedding": row} for i, row in enumerate(vectors)])
    size = sum(file.stat().st_size for file in (tmp_path / "tables").rglob("*.parquet"))
    before = read_bytes()
    assert (
        sum(
            part.num_rows
            for part in stream(catalog.load_table("orchard.embeddings"), EqualTo("uri", "s3://b/7"), "uri")
        )
        == 1
    )
    assert size > vectors.nbytes * 0.8
    assert read_bytes() - before < size / 20
