"""Tables of the steps, made with pyiceberg as spark_jobs/tables/lake.py makes them with Spark, and filled with rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import (
    BinaryType,
    DoubleType,
    FloatType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from orchard.lake.tables import table_or_none

_TEXT, _FLOATS = StringType(), ListType(100, FloatType(), element_required=False)
_COLUMNS: dict[str, dict[str, IcebergType]] = {
    "embeddings": {"uri": _TEXT, "etag": _TEXT, "label": _TEXT, "extractor_id": _TEXT, "embedding": _FLOATS},
    "rejects": {"uri": _TEXT, "etag": _TEXT, "extractor_id": _TEXT, "reason": _TEXT},
    "moments": {"extractor_id": _TEXT, "count": LongType(), "batch": BinaryType()},
    "bases": {
        "extractor_id": _TEXT,
        "basis_id": _TEXT,
        "created_at": TimestamptzType(),
        "asked_variance": DoubleType(),
    },
    "coordinates": {"uri": _TEXT, "extractor_id": _TEXT, "basis_id": _TEXT, "coordinates": _FLOATS},
}


def create(catalog: Catalog, name: str, database: str = "orchard") -> Table:
    """Make one of the steps' tables, empty."""
    columns = _COLUMNS[name] | ({} if name == "bases" else {"run_id": _TEXT})
    fields = enumerate(columns.items(), start=1)
    schema = Schema(*(NestedField(i, column, kind, required=False) for i, (column, kind) in fields))
    parts = [column for column in ("extractor_id", "basis_id", "run_id") if column in columns]
    ids = [schema.find_field(part).field_id for part in parts]
    by = [
        PartitionField(i, 1000 + n, IdentityTransform(), part)
        for n, (i, part) in enumerate(zip(ids, parts, strict=True))
    ]
    return catalog.create_table((database, name), schema, partition_spec=PartitionSpec(*by))


def fill(catalog: Catalog, name: str, rows: Sequence[Mapping[str, Any]], database: str = "orchard") -> None:
    """Append rows to a table, which is made when missing; columns that they lack are null."""
    table = table_or_none(catalog, database, name) or create(catalog, name, database)
    table.append(pa.Table.from_pylist([dict(row) for row in rows], table.schema().as_arrow()))
