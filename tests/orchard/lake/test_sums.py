from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo, In

from orchard.lake.sums import Sums, rejects, sums
from orchard.lake.tables import open_catalog
from tests.tables import fill

START = datetime(2026, 1, 1, 12, 0, 0, 123_457, tzinfo=UTC)


class Lake:
    """Photos are named by a letter; an etag is a number, 1 unless told."""

    def __init__(self, folder: Path) -> None:
        self.catalog: Catalog = open_catalog(str(folder))

    def batch(
        self, run_id: str, day: int, add: str = "", change: str = "", delete: str = "", relabel: str = "", **more: Any
    ) -> None:
        asked = (("add", add), ("change", change), ("delete", delete), ("relabel", relabel))
        found = {"run_id": run_id, "extractor_id": "e1", "found_at": START + timedelta(days=day), "etag": "1"} | more
        rows = [{"uri": uri, "action": action, **found} for action, uris in asked for uri in uris]
        fill(self.catalog, "batches", rows)

    def put(self, table: str, run_id: str, uris: str, **more: Any) -> None:
        fill(
            self.catalog,
            table,
            [{"uri": uri, "etag": "1", "run_id": run_id, "extractor_id": "e1", **more} for uri in uris],
        )

    def sums(self, run_id: str = "r1") -> Sums:
        found = sums(self.catalog, "orchard", run_id, "e1")
        assert found.asked == found.embedded + found.rejected + found.relabelled + found.superseded + found.lost
        return found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_a_run_without_a_batch(lake: Lake) -> None:
    assert lake.sums() == Sums()
    lake.batch("r2", 1, add="a")
    assert lake.sums() == Sums()
    assert Sums().match


def test_all_is_lost_where_no_step_has_run(lake: Lake) -> None:
    lake.batch("r1", 1, add="abcdefghijkl")
    assert lake.sums() == Sums(asked=12, lost=12, examples=tuple("abcdefghij"))
    assert not lake.sums().match


def test_embedded_or_rejected(lake: Lake) -> None:
    lake.batch("r1", 1, add="abcd")
    lake.put("embeddings", "r1", "abc")
    lake.put("rejects", "r1", "d", reason="truncated")
    assert lake.sums() == Sums(asked=4, embedded=3, rejected=1)
    assert lake.sums().match


@pytest.mark.parametrize("more", [{"run_id": "r2"}, {"extractor_id": "e2"}, {"etag": "2"}])
def test_what_is_another_runs_extractors_or_version_does_not_count(lake: Lake, more: dict[str, str]) -> None:
    lake.batch("r1", 1, add="ab")
    lake.put("embeddings", "r1", "a")
    lake.put("embeddings", **({"run_id": "r1", "uris": "b"} | more))
    lake.batch("r9", 9, add="ab", extractor_id="e2")
    assert lake.sums() == Sums(asked=2, embedded=1, lost=1, examples=("b",))


def test_twice(lake: Lake) -> None:
    lake.batch("r1", 1, add="abc")
    lake.put("embeddings", "r1", "aabc")
    lake.put("rejects", "r1", "b")
    assert lake.sums() == Sums(asked=3, embedded=3, twice=2, examples=("a", "b"))
    assert not lake.sums().match


def test_changes_and_deletions(lake: Lake) -> None:
    lake.put("embeddings", "r1", "abcdx")
    lake.put("rejects", "r1", "ef")
    lake.batch("r2", 2, add="n", change="ae", delete="bf", etag="2")
    # Nothing done yet.
    assert lake.sums("r2") == Sums(asked=3, lost=3, kept=2, examples=("a", "b", "e", "f", "n"))
    # The new rows are there, and the old ones, too.
    lake.put("embeddings", "r2", "ane", etag="2")
    assert lake.sums("r2") == Sums(asked=3, embedded=3, twice=2, kept=2, examples=("a", "b", "e", "f"))
    for table in ("embeddings", "rejects"):
        for uri in "abef":
            rows = lake.catalog.load_table(f"orchard.{table}")
            if rows.scan(old := EqualTo("uri", uri)).count():
                rows.delete(old)
    lake.put("embeddings", "r2", "ae", etag="2")
    assert lake.sums("r2") == Sums(asked=3, embedded=3)


def test_another_label(lake: Lake) -> None:
    lake.put("embeddings", "r1", "abcd", label="Apple 9")
    lake.batch("r2", 2, add="n", label="Fig")
    lake.batch("r2", 2, relabel="abc", label="Apple")
    assert lake.sums("r2") == Sums(asked=4, lost=4, examples=("a", "b", "c", "n"))
    # One is there under its new label, one under the old one, and one twice.
    lake.catalog.load_table("orchard.embeddings").delete(In("uri", ["a", "b"]))
    lake.put("embeddings", "r2", "ac", label="Apple")
    lake.put("embeddings", "r2", "b", label="Apple 9")
    lake.put("embeddings", "r2", "n", label="Fig")
    assert lake.sums("r2") == Sums(asked=4, embedded=1, relabelled=2, lost=1, twice=1, examples=("b", "c"))


def test_what_a_later_run_took_up_is_its_to_do(lake: Lake) -> None:
    lake.batch("r1", 1, add="abcd", delete="x")
    lake.batch("r2", 2, add="x", change="a", delete="b", etag="2")
    lake.put("embeddings", "r1", "c")
    lake.put("embeddings", "r2", "ax", etag="2")
    assert lake.sums("r1") == Sums(asked=4, embedded=1, superseded=2, lost=1, examples=("d",))
    assert lake.sums("r2") == Sums(asked=2, embedded=2)
    # The earlier run does not take up what is the later one's.
    lake.put("embeddings", "r1", "d")
    assert lake.sums("r1").match
    assert lake.sums("r2").match


def test_found_at_the_same_microsecond_is_not_later(lake: Lake) -> None:
    lake.batch("r1", 1, add="a")
    lake.batch("r2", 1, add="a")
    assert lake.sums("r1").superseded == lake.sums("r2").superseded == 0


def test_odd_names(lake: Lake) -> None:
    run_id, uris = 'it\'s "r" #1%\n', ["s3://b/🍎/it's 100%.jpg", "s3://b/a//\n.jpg"]
    fill(
        lake.catalog,
        "batches",
        [
            {"uri": u, "etag": '"x"', "action": "add", "run_id": run_id, "extractor_id": "e1", "found_at": START}
            for u in uris
        ],
    )
    fill(lake.catalog, "embeddings", [{"uri": uris[0], "etag": '"x"', "run_id": run_id, "extractor_id": "e1"}])
    assert lake.sums(run_id) == Sums(asked=2, embedded=1, lost=1, examples=(uris[1],))


def test_rejects(lake: Lake) -> None:
    assert rejects(lake.catalog, "orchard", "r1", 10) == []
    lake.put("rejects", "r1", "cab", reason="truncated")
    lake.put("rejects", "r2", "d", reason="not an image")
    assert rejects(lake.catalog, "orchard", "r1", 10) == [(uri, "truncated") for uri in "abc"]
    assert len(rejects(lake.catalog, "orchard", "r1", 2)) == 2
