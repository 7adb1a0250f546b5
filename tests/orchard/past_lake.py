"""A lake of six days with four runs, as the DAG writes them; on two days nothing came, and nothing was rented."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog

from orchard.lake.tables import open_catalog, replace_run
from tests.tables import fill

EXTRACTOR = "mobilenet_v2-f32-0123456789ab"
MINE = {"extractor_id": EXTRACTOR, "label_rule": "parent", "relabelled": 0, "rejected": 0, "deleted": 0}
# Photos, seconds that embedded them, and of the cluster's whole life, on 4 vCPUs: 100 photos a second each but for the
# last day's, on which tables were maintained, and which was too small to tell.
DAYS: dict[int, dict[str, Any]] = {
    1: {
        "embedded": 240_000,
        "embed_seconds": 600.0,
        "cluster_seconds": 1050.0,
        "cost_dollars": 0.16,
        "listed": 240_000,
    },
    2: {"embedded": 2_000, "embed_seconds": 5.0, "cluster_seconds": 485.0, "cost_dollars": 0.07, "listed": 242_000},
    5: {"embedded": 4_000, "embed_seconds": 10.0, "cluster_seconds": 460.0, "cost_dollars": 0.07, "listed": 246_000},
    6: {"embedded": 100, "embed_seconds": 4.0, "cluster_seconds": 604.0, "cost_dollars": 0.09, "listed": 246_100}
    | {"maintain_seconds": 120.0},
}


def past_lake(root: Path | str, database: str = "orchard") -> Catalog:
    """Make it."""
    catalog = open_catalog(str(root), database)
    for day, row in DAYS.items():
        run = f"day-{day}"
        moment = datetime(2026, 3, day, 3, tzinfo=UTC)
        rented = {"instance_type": "m5.xlarge", "core_nodes": 1, "vcpus": 4, "ended_at": moment}
        replace_run(catalog, database, {**MINE, "run_id": run, "added": row["embedded"], **rented, **row})
    mine = {"extractor_id": EXTRACTOR, "run_id": "day-1"}
    rows = [{**mine, "uri": f"s3://b/{number}.jpg", "embedding": [0.5] * 8} for number in range(1000)]
    fill(catalog, "embeddings", rows, database)
    return catalog
