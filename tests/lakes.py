"""Lakes for tests: a local one in Spark, batches written as discovery writes them, and its tables read back."""

import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from local.sample_photos import LABELS, render
from orchard.lake.tables import open_catalog
from spark_jobs.running.objects import file_etag
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.location import LakeLocation
from spark_jobs.tables.session import open_lake

SLOTS = 2


def start_spark(folder: Path) -> Lake:
    """Start Spark as if for a lake in that folder; whoever opens a lake from now on joins it."""
    return open_lake(LakeLocation.parse(str(folder)), "tests", SLOTS)


def new_lake(folder: Path) -> Lake:
    """Make a lake, with the fixture `spark`; from now on only Spark may write to it."""
    location = LakeLocation.parse(str(folder))
    open_catalog(location.root, location.database)
    return open_lake(location, "tests")


def row(path: Path, action: str = "add", **changed: Any) -> dict[str, Any]:
    """Return what `batches` holds of a file; without run and extractor."""
    status = os.stat(path) if path.exists() else None
    listed = {
        "uri": f"file://{path}",
        "etag": file_etag(status) if status else '"gone"',
        "size": status.st_size if status else 0,
        "last_modified": datetime.now(UTC),
        "label": path.parent.name,
        "action": action,
        "label_rule": "parent",
    }
    return listed | changed


def set_batch(lake: Lake, run_id: str, extractor_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Fix a run's batch."""
    mine = {"run_id": run_id, "extractor_id": extractor_id, "found_at": datetime.now(UTC)}
    lake.replace("batches", lake.rows("batches", [{**one, **mine} for one in rows]), run_id=run_id)


def read(lake: Lake, table: str, *columns: str) -> list[dict[str, Any]]:
    """Read a table with pyiceberg, in a tenth of the time that Spark takes for it."""
    held = open_catalog(lake.location.root, lake.location.database).load_table((lake.location.database, table))
    return list(held.scan(selected_fields=columns or ("*",)).to_arrow().to_pylist())


def contents(lake: Lake, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Read columns of a table, sorted."""
    return sorted(tuple(one[column] for column in columns) for one in read(lake, table, *columns))


def newest(lake: Lake, table: str) -> dict[str, Any]:
    """Read the newest row of a table."""
    return max(read(lake, table), key=lambda one: one["created_at"])


def embeddings(lake: Lake) -> tuple[list[str], list[str], np.ndarray]:
    """Read uris, labels and embeddings in float64, in the order of the uris."""
    rows = sorted(read(lake, "embeddings", "uri", "label", "embedding"), key=lambda one: str(one["uri"]))
    return [r["uri"] for r in rows], [r["label"] for r in rows], np.array([r["embedding"] for r in rows], np.float64)


def sample(folder: Path, per_label: int, labels: int = 4, size: int = 72) -> list[Path]:
    """Render sample photos, one folder a label."""
    paths = []
    for label in list(LABELS)[:labels]:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(per_label):
            path = folder / label / f"{number}.jpg"
            render(label, number, size).save(path, quality=90)
            paths.append(path)
    return paths


def shelve(lake_folder: Path, artefact: Path) -> str:
    """Copy an artefact to a lake's shelf; return its extractor_id."""
    (lake_folder / "extractors").mkdir(parents=True, exist_ok=True)
    shutil.copy(artefact, lake_folder / "extractors")
    return artefact.stem


def told(done: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `run_local --json` says was found, without what finding it took."""
    found: dict[str, Any] = done["found"]
    assert found["seconds"].keys() == {"known", "listing", "comparing"}
    return {name: value for name, value in found.items() if name not in ("seconds", "requests", "source")}
