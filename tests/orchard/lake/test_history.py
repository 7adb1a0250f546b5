from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog

from orchard.lake import ledger
from orchard.lake.history import Past, bytes_held, read_history
from orchard.lake.tables import existing_catalog, open_catalog, replace_run
from tests.orchard.past_lake import EXTRACTOR, past_lake


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return past_lake(tmp_path)


def test_runs_newest_first(catalog: Catalog) -> None:
    found = read_history(catalog, "orchard")
    assert found is not None
    assert (found.extractor_id, len(found.runs), found.days, found.idle_days) == (EXTRACTOR, 4, 6, 2)
    assert found.runs[0] == Past(
        day=date(2026, 3, 6),
        photos=100,
        grown=100,
        listed=246_100,
        rate=None,
        instance_type="m5.xlarge",
        core_nodes=1,
        seconds=604.0,
        beside=600.0,
        maintained=120.0,
        dollars=0.09,
    )
    assert [run.beside for run in found.runs] == [600.0, 450.0, 480.0, 450.0]
    assert found.rates == found.rates_on("m5.xlarge") == [100.0, 100.0, 100.0]
    assert (found.rates_on("m6g.xlarge"), found.in_use) == ([], "m5.xlarge")


def test_a_lake_without_runs(tmp_path: Path) -> None:
    assert read_history(open_catalog(str(tmp_path)), "orchard") is None


def test_runs_that_rented_nothing(tmp_path: Path) -> None:
    """As `run_local` writes them; a run of another extractor is not of this history."""
    catalog = open_catalog(str(tmp_path))
    row = {"embedded": 900, "rejected": 100, "added": 5, "deleted": 9, "embed_seconds": 10.0, "vcpus": 2}
    for number, extractor in enumerate(("old", "new"), start=1):
        moment = datetime(2026, 3, number, tzinfo=UTC)
        replace_run(catalog, "orchard", {"run_id": extractor, "extractor_id": extractor, "ended_at": moment, **row})
    found = read_history(catalog, "orchard")
    assert found is not None
    (run,) = found.runs
    assert (found.extractor_id, found.days, found.idle_days, found.in_use) == ("new", 1, 0, None)
    assert (run.photos, run.grown, run.rate, run.seconds, run.beside) == (1000, -4, 50.0, None, None)


def test_a_clusters_life_that_does_not_tell(tmp_path: Path) -> None:
    """Photos embedded on another cluster, and a run that had none to embed."""
    catalog = open_catalog(str(tmp_path))
    rows = {"elsewhere": {"embedded": 900}, "deletes": {"deleted": 9}, "odd": {"embedded": 9, "embed_seconds": 700.0}}
    for number, (run_id, row) in enumerate(rows.items(), start=1):
        mine = {"run_id": run_id, "extractor_id": "e", "ended_at": datetime(2026, 3, number, tzinfo=UTC)}
        replace_run(catalog, "orchard", {**mine, "cluster_seconds": 600.0, "instance_type": "m5.xlarge", **row})
    found = read_history(catalog, "orchard")
    assert found is not None
    assert [run.beside for run in found.runs] == [None, 600.0, None]


def test_what_the_lake_holds(catalog: Catalog, tmp_path: Path) -> None:
    """Of bytes, those of the files that are its state now."""
    assert ledger.held(catalog, "orchard", EXTRACTOR) == 1000
    assert ledger.held(catalog, "orchard", "another") == 0
    tables = [catalog.load_table(("orchard", name)) for name in ("embeddings", "runs", "batches")]
    now = sum(file["file_size_in_bytes"] for table in tables for file in table.inspect.files().to_pylist())
    assert bytes_held(existing_catalog(str(tmp_path)), "orchard") == now > 0
