from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo

from orchard.lake.ledger import Run, behind, label_rule, maintenance_due, newest, rates, unfinished
from orchard.lake.tables import open_catalog, replace_run
from tests.tables import create, fill

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(str(tmp_path))


def ended(catalog: Catalog, run_id: str, day: int, **row: Any) -> None:
    row = {"extractor_id": "e1", "ended_at": START + timedelta(days=day)} | row
    replace_run(catalog, "orchard", {"run_id": run_id} | row)


def embed(catalog: Catalog, run_id: str, photos: int, extractor_id: str = "e1") -> None:
    mine = {"extractor_id": extractor_id, "run_id": run_id}
    fill(catalog, "embeddings", [{**mine, "uri": f"s3://b/{run_id}/{i}.jpg"} for i in range(photos)])


def fold_in(catalog: Catalog, run_id: str, photos: int, basis_id: str = "b1", extractor_id: str = "e1") -> None:
    sum_up(catalog, run_id, photos, extractor_id)
    place(catalog, run_id, photos, basis_id, extractor_id)


def sum_up(catalog: Catalog, run_id: str, photos: int, extractor_id: str = "e1") -> None:
    fill(catalog, "moments", [{"extractor_id": extractor_id, "run_id": run_id, "count": photos}])


def place(catalog: Catalog, run_id: str, photos: int, basis_id: str = "b1", extractor_id: str = "e1") -> None:
    mine = {"extractor_id": extractor_id, "run_id": run_id, "basis_id": basis_id}
    fill(catalog, "coordinates", [{**mine, "uri": f"s3://b/{run_id}/{i}.jpg"} for i in range(photos)])


class TestBehind:
    def test_a_new_lake(self, catalog: Catalog) -> None:
        assert behind(catalog, "orchard", "e1") == []
        for table in ("embeddings", "moments", "bases", "coordinates"):
            create(catalog, table)
        assert behind(catalog, "orchard", "e1") == []

    def test_a_day(self, catalog: Catalog) -> None:
        embed(catalog, "r1", 3)
        assert behind(catalog, "orchard", "e1") == ["r1"]
        sum_up(catalog, "r1", 3)
        assert behind(catalog, "orchard", "e1") == ["r1"]
        place(catalog, "r1", 3)
        assert behind(catalog, "orchard", "e1") == []
        embed(catalog, "r2", 2)
        embed(catalog, "r0", 2)
        assert behind(catalog, "orchard", "e1") == ["r0", "r2"]
        fold_in(catalog, "r0", 2)
        fold_in(catalog, "r2", 2)
        assert behind(catalog, "orchard", "e1") == []

    def test_other_extractors_do_not_count(self, catalog: Catalog) -> None:
        embed(catalog, "r1", 3, "e2")
        fold_in(catalog, "r2", 3, extractor_id="e2")
        assert behind(catalog, "orchard", "e1") == []
        assert behind(catalog, "orchard", "e2") == ["r1", "r2"]

    def test_names_that_begin_alike(self, catalog: Catalog) -> None:
        for day in (1, 2):
            embed(catalog, f"scheduled__2026-01-01T00-00-0{day}", day)
        fold_in(catalog, "scheduled__2026-01-01T00-00-01", 1)
        assert behind(catalog, "orchard", "e1") == ["scheduled__2026-01-01T00-00-02"]

    @pytest.mark.filterwarnings("ignore:Merge on read is not yet supported:UserWarning")
    def test_deleted_photos(self, catalog: Catalog) -> None:
        embed(catalog, "r1", 3)
        fold_in(catalog, "r1", 3)
        catalog.load_table("orchard.embeddings").delete(EqualTo("uri", "s3://b/r1/0.jpg"))
        assert behind(catalog, "orchard", "e1") == ["r1"]
        catalog.load_table("orchard.embeddings").delete(EqualTo("run_id", "r1"))
        assert behind(catalog, "orchard", "e1") == ["r1"]  # moments and coordinates of what is gone
        for table in ("moments", "coordinates"):
            catalog.load_table(f"orchard.{table}").delete(EqualTo("run_id", "r1"))
        assert behind(catalog, "orchard", "e1") == []

    def test_a_run_that_only_deleted_has_no_embeddings_to_fold_in(self, catalog: Catalog) -> None:
        sum_up(catalog, "r1", 0)
        assert behind(catalog, "orchard", "e1") == []

    def test_a_new_basis(self, catalog: Catalog) -> None:
        for run in ("r1", "r2"):
            embed(catalog, run, 2)
            fold_in(catalog, run, 2, "old")
        fill(
            catalog,
            "bases",
            [
                {"extractor_id": "e1", "basis_id": b, "created_at": START + timedelta(i)}
                for i, b in enumerate(("old", "new"))
            ],
        )
        assert behind(catalog, "orchard", "e1") == []
        place(catalog, "r2", 2, "new")
        assert behind(catalog, "orchard", "e1") == ["r1"]

    def test_photos_that_make_no_basis(self, catalog: Catalog) -> None:
        """One photo, or the same one twice: step 2 ends without coordinates, and has nothing left to do."""
        embed(catalog, "r1", 1)
        sum_up(catalog, "r1", 1)
        assert behind(catalog, "orchard", "e1") == ["r1"]
        ended(catalog, "r1", 1)
        assert behind(catalog, "orchard", "e1") == []
        embed(catalog, "r2", 5)
        assert behind(catalog, "orchard", "e1") == ["r1", "r2"]
        sum_up(catalog, "r2", 5)
        assert behind(catalog, "orchard", "e1") == ["r1", "r2"]


class TestRates:
    def test_photos_a_second_a_vcpu_newest_first(self, catalog: Catalog) -> None:
        assert rates(catalog, "orchard") == []
        speed = {"embedded": 900, "rejected": 100, "vcpus": 4}
        for day in (2, 1, 3):
            ended(catalog, f"r{day}", day, **speed, embed_seconds=day * 1.0)
        ended(catalog, "other", 4, **speed, embed_seconds=50.0, extractor_id="e2")
        assert rates(catalog, "orchard", "e1") == pytest.approx([250 / 3, 125.0, 250.0])
        assert rates(catalog, "orchard", "e1", limit=2) == pytest.approx([250 / 3, 125.0])
        assert rates(catalog, "orchard") == pytest.approx([5.0, 250 / 3, 125.0, 250.0])

    @pytest.mark.parametrize(
        "lacking",
        [
            {"embedded": 499},
            {"embedded": None},
            {"relabelled": 1},
            {"embed_seconds": None},
            {"embed_seconds": 0.0},
            {"vcpus": None},
        ],
    )
    def test_runs_that_do_not_tell(self, catalog: Catalog, lacking: dict[str, Any]) -> None:
        row = {"embedded": 500, "rejected": None, "embed_seconds": 10.0, "vcpus": 5}
        ended(catalog, "r1", 1, **row)
        ended(catalog, "r2", 2, **(row | lacking))
        assert rates(catalog, "orchard") == [10.0]


class TestRuns:
    def test_the_newest(self, catalog: Catalog) -> None:
        assert newest(catalog, "orchard") is None
        for day, run in ((1, "r1"), (3, "r3"), (2, "r2")):
            ended(catalog, run, day)
        ended(catalog, "other", 4, extractor_id="e2")
        ended(catalog, "no end", 5, ended_at=None)
        assert [row and row["run_id"] for row in (newest(catalog, "orchard"), newest(catalog, "orchard", "e1"))] == [
            "other",
            "r3",
        ]
        assert newest(catalog, "orchard", "e3") is None

    def test_the_unfinished(self, catalog: Catalog) -> None:
        assert unfinished(catalog, "orchard") == []
        for run, day in (("b", 3), ("a", 1), ("c", 2)):  # in whatever order their parts were written last
            batch = {"uri": "u", "run_id": run, "extractor_id": f"e{run}", "found_at": START + timedelta(days=day)}
            fill(catalog, "batches", [batch])
        ended(catalog, "a", 1)
        assert unfinished(catalog, "orchard") == [Run("c", "ec"), Run("b", "eb")]


class TestLabelRule:
    def found(self, catalog: Catalog, run_id: str, day: int, rule: str | None) -> None:
        batch = {"run_id": run_id, "extractor_id": "e1", "label_rule": rule, "found_at": START + timedelta(days=day)}
        fill(catalog, "batches", [batch])

    def test_the_newest_that_tells(self, catalog: Catalog) -> None:
        assert label_rule(catalog, "orchard") is None
        ended(catalog, "r0", 0)  # of an older version
        assert label_rule(catalog, "orchard") is None
        ended(catalog, "r2", 2, label_rule="parent/2")
        ended(catalog, "r1", 1, label_rule="parent", extractor_id="e2")
        ended(catalog, "r3", 3)
        assert label_rule(catalog, "orchard") == "parent/2"

    def test_of_a_run_that_was_killed(self, catalog: Catalog) -> None:
        self.found(catalog, "r1", 1, "parent/3")
        assert label_rule(catalog, "orchard") == "parent/3"
        ended(catalog, "r2", 2, label_rule="parent/2")
        assert label_rule(catalog, "orchard") == "parent/2"
        self.found(catalog, "r4", 4, "(x)")
        self.found(catalog, "r5", 5, None)
        assert label_rule(catalog, "orchard") == "(x)"


class TestMaintenance:
    def test_a_young_lake(self, catalog: Catalog) -> None:
        assert not maintenance_due(catalog, "orchard", 7)
        ended(catalog, "r1", 0)
        ended(catalog, "r2", 6)
        assert not maintenance_due(catalog, "orchard", 7, START + timedelta(days=7))
        assert maintenance_due(catalog, "orchard", 7, START + timedelta(days=7, seconds=1))

    def test_after_the_last_one(self, catalog: Catalog) -> None:
        ended(catalog, "r1", 0)
        with catalog.load_table(("orchard", "batches")).transaction() as transaction:
            transaction.set_properties({"orchard.maintained-at": "2026-01-20T12:00:00+00:00"})
        assert not maintenance_due(catalog, "orchard", 7, datetime(2026, 1, 27, 12, tzinfo=UTC))
        assert maintenance_due(catalog, "orchard", 7, datetime(2026, 1, 27, 13, tzinfo=UTC))
