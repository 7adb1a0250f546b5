"""Lakes that were copied or moved: refused by every command until they are made lakes of their own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from orchard.commands.rollback import main as rollback
from orchard.lake.tables import open_catalog, replace_run
from spark_jobs import extract_embeddings, maintain_tables, reduce_embeddings
from spark_jobs.move_lake import main
from tests.conftest import Call, RunLocal
from tests.lakes import sample, told

TABLES = "bases, batches, coordinates, embeddings, moments, recognisers, rejects, runs"


def held(lake: Path) -> dict[str, bytes]:
    """Read every file of a folder."""
    return {str(path.relative_to(lake)): path.read_bytes() for path in lake.rglob("*") if path.is_file()}


def rows(lake: Path, table: str, *columns: str) -> list[tuple[str, ...]]:
    """Read columns of a table, as text, sorted."""
    read = open_catalog(str(lake)).load_table(("orchard", table)).scan(selected_fields=columns).to_arrow().to_pylist()
    return sorted(tuple(str(row[column]) for column in columns) for row in read)


def test_copied_then_moved(
    small_artefact: Path, tmp_path: Path, run_local: RunLocal, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, lake, copy, moved = (tmp_path / name for name in ("photos", "lake", "a longer name", "m"))
    paths = sample(photos, per_label=3)
    run_local(photos, "--lake", lake, "--extractor", small_artefact, "--components", "2")
    shutil.copytree(lake, copy)
    before, copied = held(lake), held(copy)

    address = rf"{lake}/tables/orchard/batches/metadata/"
    says = f"error: The lake {copy} was copied or moved: its catalog names {address}"
    for command in (("run_local", photos), ("recognise", paths[0])):
        done = call(*command, "--lake", copy)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1].startswith(says)
        assert done.stderr.endswith(
            f" Nothing was written. To make what lies here a lake of its own: python -m spark_jobs.move_lake {copy}\n"
        )
    step = ["--lake", str(copy), "--run-id", "r"]
    for main_of, more in (
        (maintain_tables, []),
        (reduce_embeddings, ["--extractor-id", "e"]),
        (extract_embeddings, ["--extractor", str(small_artefact)]),
    ):
        with pytest.raises(SystemExit) as ended:
            main_of.main([*step, *more])
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith(says)
    with pytest.raises(SystemExit):
        rollback(["--lake", str(copy)])
    assert capsys.readouterr().err.startswith(says.removeprefix("error: "))
    assert (held(lake), held(copy)) == (before, {**copied, ".lock": b""})

    assert main([str(copy)]) == 0
    assert capsys.readouterr().out == f"The lake {copy} is its own now, no more a copy of {lake}: {TABLES}.\n"
    assert held(lake) == before
    assert not [name for name, data in held(copy).items() if f"{lake}/tables".encode() in data]
    assert main([str(copy)]) == 0
    assert capsys.readouterr().out == f"The tables of {copy} name it already ({TABLES}).\n"

    # Both go on, apart, and end alike; the copy is moved meanwhile, so that its first address is nowhere any more.
    copy.rename(moved)
    assert main([str(moved)]) == 0
    paths[0].unlink()
    shutil.copy(paths[4], photos / "Banana" / "new.jpg")
    (there,) = run_local(photos, "--lake", lake, "--components", "2")
    (here,) = run_local(photos, "--lake", moved, "--components", "2")
    assert told(here) == told(there)
    for columns in (("uri", "etag", "embedding"), ("uri", "etag", "label")):
        assert rows(moved, "embeddings", *columns) == rows(lake, "embeddings", *columns)
    # The order in which Spark reads files decides how sums are rounded, and so the hash that a basis is named by.
    places = [rows(one, "coordinates", "uri", "coordinates") for one in (moved, lake)]
    assert [uri for uri, _ in places[0]] == [uri for uri, _ in places[1]]
    np.testing.assert_allclose(*([json.loads(xy) for _, xy in one] for one in places), atol=1e-4)
    after = held(lake)
    maintain_tables.main(["--lake", str(moved), "--run-id", "maintained", "--keep-days", "0"])
    assert held(lake) == after
    assert call("recognise", paths[1], "--lake", moved).returncode == 0


class TestWhatIsNotMoved:
    @pytest.fixture
    def copy(self, tmp_path: Path) -> Path:
        """Copy a lake of one row."""
        replace_run(open_catalog(str(tmp_path / "lake")), "orchard", {"run_id": "r"})
        shutil.copytree(tmp_path / "lake", tmp_path / "copy")
        return tmp_path / "copy"

    def refused(self, copy: Path, capsys: pytest.CaptureFixture[str]) -> str:
        before = held(copy)
        assert main([str(copy)]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err[:7], held(copy)) == ("", "error: ", before)
        return said.err[7:-1]

    def test_another_database(self, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = held(copy)
        assert main([str(copy), "--database", "nosuch"]) == 2
        assert capsys.readouterr().err == (
            "error: --database nosuch: the catalog of a lake in a folder comes with it, and this one's has orchard. "
            "Leave the option out: it is for S3.\n"
        )
        assert held(copy) == before

    def test_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.refused(tmp_path, capsys) == (
            f"There is no lake at {tmp_path}: expected tables below {tmp_path}/tables/."
        )

    def test_a_copy_that_is_not_whole(self, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (file,) = copy.rglob("*.parquet")
        file.unlink()
        assert self.refused(copy, capsys) == (
            f"{file} is missing: the copy is not whole. Copy the lake {copy.parent}/lake again."
        )

    def test_links_to_the_original(self, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shutil.rmtree(copy / "tables" / "orchard" / "runs")
        (copy / "tables" / "orchard" / "runs").symlink_to(copy.parent / "lake" / "tables" / "orchard" / "runs")
        assert self.refused(copy, capsys) == (
            f"{copy}/tables/orchard/runs is a link to {copy.parent}/lake/tables/orchard/runs: expected a copy. "
            "Copy what it leads to in its place."
        )

    def test_a_file_that_the_original_shares(self, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        lake = copy.parent / "lake"
        shutil.rmtree(copy)
        shutil.copytree(lake, copy, copy_function=lambda old, new: Path(new).hardlink_to(old))
        before = held(lake)
        assert main([str(copy)]) == 0
        assert held(lake) == before
        assert rows(copy, "runs", "run_id") == [("r",)]
