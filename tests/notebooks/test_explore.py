"""The notebook, run as Jupyter runs it: on a lake in a folder, and on the same tables in S3 and Glue."""

import ast
import html
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pyarrow.compute as pc
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement
from pyiceberg.catalog import Catalog

from orchard.lake.tables import open_catalog
from spark_jobs import run_local
from tests.conftest import Aws
from tests.lakes import sample

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "explore.ipynb"


@pytest.fixture(scope="module")
def folder(spark: None, small_artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make photos and a lake of two days: on the second, an apple is put among the bananas, and a photo is broken."""
    folder = tmp_path_factory.mktemp("explore")
    paths = sample(folder / "photos", per_label=6)
    run = [*map(str, (folder / "photos", "--lake", folder / "lake", "--extractor", small_artefact, "--components", 5))]
    assert run_local.main(run) == 0
    paths[1].unlink()
    shutil.copy(paths[0], folder / "photos" / "Banana" / "wrong.jpg")
    (folder / "photos" / "Banana" / "broken.jpg").write_text("no photo")
    assert run_local.main(run) == 0
    return folder


def run_notebook(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[Any]:
    """Run all cells in a kernel of their own; return the code cells with their outputs."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    client.execute()  # raises what a cell raises
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(cell: Any) -> str:
    """Return what a cell shows, tables row by row, with single spaces."""
    said = ""
    for output in cell.outputs:
        shown = output.get("data", {})
        said += output.get("text", "") + shown.get("text/html", shown.get("text/plain", "")) + " "
    plain = re.sub(r"<style.*?</style>|<(?!Figure)[^>]+>", " ", said, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", plain)).strip()


def find(cells: list[Any], source: str) -> Any:
    (found,) = [cell for cell in cells if source in cell.source]
    return found


def check(cells: list[Any], photos: str) -> None:
    assert {output.output_type for cell in cells for output in cell.outputs} == {
        "display_data",
        "execute_result",
        "stream",
    }
    assert [output.text for cell in cells for output in cell.outputs if output.get("name") == "stderr"] == []
    assert "embeddings 24 moments 2 recognisers 2 rejects 1 runs 2" in text(find(cells, "total-records"))
    assert "Apple Red 5 Banana 7 Lemon 6 Orange 6" in text(find(cells, "value_counts().sort_index()"))
    drawn = [
        output.data["image/png"] for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(drawn) == len(set(drawn)) == 4  # the variance, the map, near photos, badly recognised ones
    expected = f"0 Apple Red {photos}/Apple Red/0.jpg 0.000 11 Banana {photos}/Banana/wrong.jpg 0.000 "
    assert text(find(cells, "def nearest")).startswith(
        f"<Figure size 960x220 with 6 Axes> label uri distance {expected}"
    )
    assert "23 of 24 photos are taken for what they are" in text(find(cells, "taken_for != "))
    assert re.search(
        rf"0 Banana Apple Red 0\.\d+ {re.escape(photos)}/Banana/wrong\.jpg 1 ", text(find(cells, "show(worst"))
    )
    assert f"{photos}/Banana/broken.jpg" in text(find(cells, "rejects.sort_values"))
    assert (
        text(find(cells, "snapshot_as_of_timestamp"))
        == "1 photos came, 1 went then now label Apple Red 6 5 Banana 6 7 Lemon 6 6 Orange 6 6"
    )


def test_on_a_laptop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(run_notebook(monkeypatch, LAKE=str(folder / "lake")), f"file://{folder}/photos")


def test_on_s3_and_glue(folder: Path, aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tables in Glue, the photos in a bucket: nothing but the variables differs."""
    for path in (folder / "photos").glob("*/*.jpg"):
        aws.client("s3").upload_file(str(path), bucket, f"photos/{path.parent.name}/{path.name}")
    copy(open_catalog(str(folder / "lake")), folder, bucket)
    monkeypatch.delenv("AWS_DEFAULT_REGION")  # a machine where nothing but this notebook says which
    cells = run_notebook(monkeypatch, LAKE=f"s3://{bucket}/lake", DATABASE="explored")
    check(cells, f"s3://{bucket}/photos")

    with pytest.raises(CellExecutionError, match=f"The tables of explored are another lake's: s3://{bucket}/lake/"):
        run_notebook(monkeypatch, LAKE="s3://elsewhere/lake")


def copy(local: Catalog, folder: Path, bucket: str) -> None:
    """Copy a lake's tables into Glue, each first as it was after the first day, then as it is."""
    glue = open_catalog(f"s3://{bucket}/lake", "explored")
    first = local.load_table("orchard.coordinates").snapshots()[0].snapshot_id
    for _, name in local.list_tables("orchard"):
        source = local.load_table(("orchard", name))
        target = glue.create_table_if_not_exists(("explored", name), source.schema().as_arrow())
        days = [first, None] if name == "coordinates" else [None]
        for snapshot in days:
            rows = source.scan(snapshot_id=snapshot).to_arrow()
            if "uri" in rows.column_names:
                uris = pc.replace_substring(rows["uri"], f"file://{folder}", f"s3://{bucket}")
                rows = rows.set_column(rows.column_names.index("uri"), "uri", uris)
            target.overwrite(rows) if target.history() else target.append(rows)


def test_it_is_committed_without_outputs() -> None:
    """Pictures of somebody's photos, and paths of a machine, have no place in the repository."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 13
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert max(len(cell.source.splitlines()) for cell in code) <= 30
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_it_needs_no_more_than_a_node_has() -> None:
    """On a cluster's primary node its kernel is the nodes' own Python."""
    needed = {"boto3", "matplotlib", "numpy", "pandas", "PIL", "pyiceberg"}
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    tree = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    found = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    assert found == needed
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    there = [*project["dependencies"], *project["optional-dependencies"]["data-plane"]]
    names = {"pillow" if name == "PIL" else name for name in needed}
    assert names <= {Requirement(one).name for one in there}
