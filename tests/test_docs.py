"""The pages' Python runs as it stands, on a lake of this machine; what they link to is there."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local import docs
from orchard.lake.tables import open_catalog, replace_run
from tests import tables

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/README.md")])
RUN = {"extractor_id": "the-old-one", "run_id": "day-1"}


def test_operations(tmp_path: Path) -> None:
    """Every block after another, as somebody would paste them; the last deletes the old extractor's rows."""
    catalog = open_catalog(str(tmp_path))
    tables.fill(
        catalog, "rejects", [{"uri": "a", "reason": "empty file", **RUN}, {"uri": "b", "reason": "too small", **RUN}]
    )
    tables.fill(catalog, "embeddings", [{"uri": "c", **RUN}, {"uri": "d", "extractor_id": "new", "run_id": "day-2"}])
    tables.fill(catalog, "coordinates", [{"uri": "c", "basis_id": "1", **RUN}])
    replace_run(catalog, "orchard", {**RUN, "ended_at": datetime.now(UTC)})
    page = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    code = "\n".join(blocks).replace("s3://fruits/lake", str(tmp_path)).replace("orchard_prod", "orchard")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "plugins")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"empty file\s+1", done.stdout), done.stdout
    left = {name: catalog.load_table(("orchard", name)).scan().to_arrow() for name in ("rejects", "embeddings", "runs")}
    assert {name: table["extractor_id"].to_pylist() for name, table in left.items()} == {
        "rejects": [],
        "embeddings": ["new"],
        "runs": ["the-old-one"],
    }


def test_what_is_made_from_the_code_is_as_the_code_is() -> None:
    made = docs.made()
    assert {path.name for path in made} == {"dag.md", "settings.schema.json"}
    stale = [path.name for path, text in made.items() if path.read_text("utf-8") != text]
    assert not stale, f"docs/{', '.join(stale)}: stale; `make docs` makes it anew."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    lost = [one for one in links if not one.startswith(("http://", "https://")) and not (page.parent / one).exists()]
    assert lost == []
