"""Neighbours: the photos of a lake that are nearest to others, found without Spark."""

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, EqualTo

from orchard.lake.tables import table_or_none
from spark_jobs.exact.basis import Basis
from spark_jobs.tables.vectors import matrix

NEIGHBOURS = 5


@dataclass(frozen=True)
class Neighbour:
    """A photo of the lake, and how far its coordinates are (Euclidean)."""

    uri: str
    label: str
    distance: float


def nearest(
    catalog: Catalog, database: str, extractor_id: str, embeddings: NDArray[np.float32]
) -> list[list[Neighbour]]:
    """Find the nearest photos in one pass over the coordinates, holding some thousands of them at a time."""
    table = table_or_none(catalog, database, "coordinates")
    if table is None:
        return [[] for _ in embeddings]
    first = table.scan(EqualTo("extractor_id", extractor_id), selected_fields=("basis_id",), limit=1).to_arrow()
    if not len(first):
        return [[] for _ in embeddings]
    basis_id = first["basis_id"][0].as_py()
    row = newest(catalog, database, "bases", extractor_id, basis_id=basis_id)
    assert row is not None  # a basis is stored before any coordinates in it
    mean, scale, components, eigenvalues = (np.array(row[c]) for c in ("mean", "scale", "components", "eigenvalues"))
    places = Basis(mean, scale, components, eigenvalues, row["count"]).project(embeddings)
    best: list[list[tuple[float, str, str]]] = [[] for _ in places]
    where = And(EqualTo("extractor_id", extractor_id), EqualTo("basis_id", basis_id))
    for batch in table.scan(where, selected_fields=("uri", "label", "coordinates")).to_arrow_batch_reader():
        there = matrix(batch["coordinates"])
        for i, place in enumerate(places):
            distances = np.linalg.norm(there - place, axis=1)
            for j in np.argsort(distances, kind="stable")[:NEIGHBOURS].tolist():
                found = (-float(distances[j]), batch["uri"][j].as_py(), batch["label"][j].as_py())
                push = heapq.heappush if len(best[i]) < NEIGHBOURS else heapq.heappushpop
                push(best[i], found)
    return [[Neighbour(uri, label, -far) for far, uri, label in sorted(heap, reverse=True)] for heap in best]


def newest(
    catalog: Catalog, database: str, name: str, extractor_id: str | None = None, **equals: str
) -> dict[str, Any] | None:
    """Load the newest row of a table; its wide columns of that row alone."""
    table = table_or_none(catalog, database, name)
    if table is None:
        return None
    conditions = equals | ({"extractor_id": extractor_id} if extractor_id else {})
    rows = table.scan(selected_fields=("created_at", *conditions)).to_arrow().to_pylist()
    rows = [row for row in rows if all(row[column] == value for column, value in conditions.items())]
    if not rows:
        return None
    created_at = max(row["created_at"] for row in rows).isoformat()
    chosen: list[dict[str, Any]] = table.scan(EqualTo("created_at", created_at)).to_arrow().to_pylist()
    return chosen[0]
