"""Show: what the demo made: tables, clusters, the recogniser's answer."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
from pyiceberg.catalog import Catalog

from local.stack import BUCKET
from orchard.lake.tables import open_catalog

_ROOT = Path(__file__).parents[2]
_ROWS = 3
_WIDTH = 36
# The columns of each table that say most on one line.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "batches": ("action", "label", "uri", "size", "run_id"),
    "embeddings": ("label", "uri", "embedding", "run_id"),
    "rejects": ("uri", "reason", "run_id"),
    "moments": ("extractor_id", "run_id", "created_at"),
    "bases": ("basis_id", "count", "components", "eigenvalues", "why"),
    "coordinates": ("label", "uri", "coordinates", "basis_id"),
    "recognisers": ("labels", "shrinkage", "run_id"),
    "runs": ("run_id", "added", "changed", "deleted", "embedded", "rejected", "captured", "accuracy_folds", "why"),
}


def tables(root: str, database: str) -> str:
    """Write each table's number of rows, and a few of them."""
    catalog = open_catalog(root, database)
    there = {name for _, name in catalog.list_tables(database)}
    names = [*(name for name in COLUMNS if name in there), *sorted(there - COLUMNS.keys())]
    return "\n\n".join(_table(catalog, database, name) for name in names)


def _table(catalog: Catalog, database: str, name: str) -> str:
    table = catalog.load_table((database, name))
    known = table.schema().column_names
    columns = [column for column in COLUMNS.get(name, known[:6]) if column in known]
    rows = table.scan(selected_fields=tuple(columns), limit=_ROWS).to_arrow()
    count = table.scan().count()
    return f"{name}: {count:,} row{'' if count == 1 else 's'}\n{grid(rows.select(columns))}"


def grid(rows: pa.Table) -> str:
    """Align a few rows under their columns' names."""
    columns = [[name, *(cell(value) for value in rows[name].to_pylist())] for name in rows.column_names]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        for line in zip(*columns, strict=True)
    ]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def cell(value: Any) -> str:
    """Write a value shortly.

    >>> cell([0.25, 1.5, 3.0, 4.0])
    '[0.25 1.5 … 4]'
    >>> cell("s3://orchard/photos/Banana/1.jpg")
    '…/photos/Banana/1.jpg'
    """
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.4g}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case bytes():
            return f"{len(value):,} bytes"
        case list():
            return _clip(", ".join(value)) if value and isinstance(value[0], str) else _numbers(value)
        case str():
            return _clip("…/" + value.removeprefix("s3://").partition("/")[2] if value.startswith("s3://") else value)
    return f"{value:,}" if isinstance(value, int) else _clip(str(value))


def _numbers(values: Sequence[Any]) -> str:
    if values and isinstance(values[0], list):
        return f"{len(values):,} x {len(values[0]):,}"
    shown = " ".join(f"{value:.3g}" for value in values[:2])
    return f"[{shown} … {len(values):,}]" if len(values) > 2 else f"[{shown}]"


def _clip(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def clusters(root: str, database: str) -> str:
    """List the clusters that lived, and what AWS would have charged for them."""
    lived = [one for page in boto3.client("emr").get_paginator("list_clusters").paginate() for one in page["Clusters"]]
    runs = open_catalog(root, database).load_table((database, "runs")).scan().to_arrow().to_pylist()
    lines = []
    for one in sorted(lived, key=lambda one: one["Status"]["Timeline"]["CreationDateTime"]):
        run = next((run for run in runs if run["cluster"] == one["Id"]), None)
        line = f"  {one['Id']}  {one['Status']['State']}"
        if run is not None:
            kind = run["instance_type"] or "of an unknown type"
            line += f"  1 primary and {cell(run['core_nodes'])} core {kind}"
            line += f", {run['cluster_seconds']:.0f} s" if run["cluster_seconds"] is not None else ""
            line += f", ${run['cost_dollars']:.4f} on AWS" if run["cost_dollars"] is not None else ""
            line += f"  ({run['run_id']})"
        lines.append(line)
    return "\n".join(lines)


def recognised(photo: Path, root: str) -> str:
    """Ask the recogniser what a photo shows, as a person does."""
    command = [sys.executable, "-m", "spark_jobs.recognise", str(photo), "--lake", root]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.rstrip() if done.returncode == 0 else done.stdout + done.stderr.rstrip()


def report(s3: Any, run_id: str, page: Path) -> bool:
    """Save a run's report as `page`; say whether there is one, which a run that found nothing to do has not."""
    try:
        page.write_bytes(s3.get_object(Bucket=BUCKET, Key=f"lake/reports/{run_id}.html")["Body"].read())
    except s3.exceptions.NoSuchKey:
        return False
    return True
