"""Going back to an earlier day of a lake, on tables as the steps make them."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog

from orchard.commands import rollback as module
from orchard.commands.rollback import RollbackError, changes, main, rollback
from orchard.lake.lease import alone
from orchard.lake.tables import open_catalog, replace_run
from tests import tables

Contents = dict[str, list[str]]


@pytest.fixture
def lake(tmp_path: Path) -> Catalog:
    """Make a lake of two days: the second adds b and the table bases, and replaces a."""
    catalog = open_catalog(str(tmp_path))
    day(catalog, "day-1", "a")
    tables.fill(catalog, "bases", [{"extractor_id": "e", "basis_id": "1"}])
    embeddings = catalog.load_table("orchard.embeddings")
    embeddings.delete("uri = 'a'")
    day(catalog, "day-2", "A", "b", relabelled=5)
    return catalog


def day(catalog: Catalog, run_id: str, *uris: str, relabelled: int | None = None) -> None:
    mine = {"extractor_id": "e", "run_id": run_id}
    tables.fill(catalog, "embeddings", [{"uri": uri, **mine} for uri in uris])
    row = {"ended_at": datetime.now(UTC), "added": len(uris), "changed": 0, "deleted": 0, "relabelled": relabelled}
    replace_run(catalog, "orchard", {**mine, **row})


def contents(catalog: Catalog) -> Contents:
    def read(name: str, column: str) -> list[str]:
        return sorted(catalog.load_table(("orchard", name)).scan().to_arrow()[column].to_pylist())

    return {
        name: read(name, column) for name, column in (("embeddings", "uri"), ("bases", "basis_id"), ("runs", "run_id"))
    }


def test_back_to_the_first_day(lake: Catalog) -> None:
    found = changes(lake, "orchard", "day-1")
    assert [str(one) for one in found] == [
        "bases                  1 -> 0 rows",
        "batches       stays",
        "embeddings             2 -> 1 rows",
        "runs                   2 -> 1 rows",
    ]
    rollback(found)
    assert contents(lake) == {"embeddings": ["a"], "bases": [], "runs": ["day-1"]}
    assert not any(one.needed for one in changes(lake, "orchard", "day-1"))
    day(lake, "day-3", "c")
    assert contents(lake) == {"embeddings": ["a", "c"], "bases": [], "runs": ["day-1", "day-3"]}
    rollback(changes(lake, "orchard", "day-1"))
    assert contents(lake) == {"embeddings": ["a"], "bases": [], "runs": ["day-1"]}


def test_to_the_last_day_nothing_changes(lake: Catalog) -> None:
    before = contents(lake)
    found = changes(lake, "orchard", "day-2")
    assert not any(one.needed for one in found)
    rollback(found)
    assert contents(lake) == before == {"embeddings": ["A", "b"], "bases": ["1"], "runs": ["day-1", "day-2"]}


def test_broken_off_and_done_again(lake: Catalog) -> None:
    first, second, *_ = [one for one in changes(lake, "orchard", "day-1") if one.needed]
    rollback([first, second])
    assert contents(lake)["runs"] == ["day-1", "day-2"]  # so that the run is still known
    rollback(changes(lake, "orchard", "day-1"))
    assert contents(lake) == {"embeddings": ["a"], "bases": [], "runs": ["day-1"]}


def test_a_day_that_was_done_again_later(lake: Catalog) -> None:
    """Day 1 done again after day 2: its end is that of its second time."""
    day_1 = {"extractor_id": "e", "run_id": "day-1", "added": 1, "changed": 0, "deleted": 0}
    replace_run(lake, "orchard", {**day_1, "ended_at": datetime.now(UTC)})
    rollback(changes(lake, "orchard", "day-2"))
    assert contents(lake) == {"embeddings": ["A", "b"], "bases": ["1"], "runs": ["day-1", "day-2"]}
    assert [row["run_id"] for row in module._ended(lake.load_table("orchard.runs"))] == ["day-1", "day-2"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda _: None, r"--to day-9: expected a run of the lake that has ended, one of day-1, day-2\."),
        (
            lambda catalog: expire(catalog, "embeddings"),
            r"Table embeddings: its snapshots of .* have expired \(setting keep_days\); the oldest is of .* UTC\.",
        ),
        (
            lambda catalog: expire(catalog, "runs"),
            r"Table runs: its snapshot of the end of day-1 has expired \(setting keep_days\)\.",
        ),
    ],
)
def test_what_cannot_be_done(lake: Catalog, spoil: Callable[[Catalog], Any], message: str) -> None:
    spoil(lake)
    before = contents(lake)
    with pytest.raises(RollbackError) as refused:
        changes(lake, "orchard", "day-9" if "day-9" in message else "day-1")
    assert re.fullmatch(message, str(refused.value))
    assert contents(lake) == before


def expire(catalog: Catalog, name: str) -> None:
    """Expire all snapshots of a table but its current one."""
    table = catalog.load_table(("orchard", name))
    now = table.current_snapshot()
    assert now is not None
    table.maintenance.expire_snapshots().by_ids(
        [one.snapshot_id for one in table.snapshots() if one.snapshot_id != now.snapshot_id]
    ).commit()


def test_as_a_command(lake: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--lake", str(tmp_path)]
    assert main(given) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC  day-1  1 added, 0 changed, 0 deleted", first)
    assert second.endswith("day-2  2 added, 0 changed, 0 deleted, 5 relabelled")
    assert main([*given, "--to", "day-1"]) == 0
    assert "Nothing was changed: say --yes to do it." in capsys.readouterr().out
    assert contents(lake)["runs"] == ["day-1", "day-2"]
    assert main([*given, "--to", "day-1", "--yes"]) == 0
    assert "The lake is as day-1 left it. The files under exports/" in capsys.readouterr().out
    assert contents(lake) == {"embeddings": ["a"], "bases": [], "runs": ["day-1"]}
    assert main([*given, "--to", "day-1", "--yes"]) == 0
    assert "The lake is as day-1 left it: there is nothing to do." in capsys.readouterr().out
    with pytest.raises(SystemExit) as refused:
        main([*given, "--to", "day-2"])
    assert refused.value.code == 2


def test_a_run_that_was_killed(lake: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A later run ended it; what it had found is not known any more."""
    replace_run(lake, "orchard", {"extractor_id": "e", "run_id": "killed", "ended_at": datetime.now(UTC)})
    assert main(["--lake", str(tmp_path)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(" UTC  killed  - added, - changed, - deleted")


def test_a_lake_at_work_and_a_copy_exit_differently(
    lake: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path.with_name("copy")
    shutil.copytree(tmp_path, copy)
    for folder, code, expected in (
        (tmp_path, 1, "Another run works on the lake"),
        (copy, 2, f"The lake {copy} was copied or moved"),
    ):
        with alone(str(tmp_path), "test"), pytest.raises(SystemExit) as refused:
            main(["--lake", str(folder), "--to", "day-1", "--yes"])
        assert (refused.value.code, capsys.readouterr().err[: len(expected)]) == (code, expected)


@pytest.mark.parametrize("there", [False, True])
def test_where_there_is_no_lake_none_is_made(there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "lakee"
    if there:
        folder.mkdir()
    with pytest.raises(SystemExit) as refused:
        main(["--lake", str(folder)])
    assert refused.value.code == 2
    assert capsys.readouterr().err.startswith(f"There is no lake at {folder}, database orchard: no run has written")
    assert [*tmp_path.rglob("*")] == ([folder] if there else [])


def test_a_mistyped_lake_of_glue(aws: Any, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    database = bucket.replace("-", "_")
    open_catalog(f"s3://{bucket}/lake", database)
    before = aws.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"]
    for lake, name, expected in (
        (f"s3://{bucket}/lak", database, f"The tables of this database are at s3://{bucket}/lake/tables/"),
        (f"s3://{bucket}/lake", f"{database}_too", f"There is no lake at s3://{bucket}/lake, database {database}_too"),
    ):
        with pytest.raises(SystemExit):
            main(["--lake", lake, "--database", name])
        assert capsys.readouterr().err.startswith(expected)
    assert main(["--lake", f"s3://{bucket}/lake", "--database", database]) == 0
    assert capsys.readouterr().out == "No run has ended in this lake yet.\n"
    assert aws.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == before
    found = {one["Name"] for one in aws.client("glue").get_databases()["DatabaseList"]}
    assert found & {database, f"{database}_too"} == {database}


def test_without_a_region_it_says_so(
    aws: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as ended:
        main(["--lake", "s3://bucket/lake"])
    assert ended.value.code == 2
    assert "error: AWS cannot be asked: You must specify a region; expected" in capsys.readouterr().err
