"""The lake as the control plane sees it: Iceberg tables through pyiceberg, without Spark.

It makes the two tables that the control plane writes, `batches` and `runs`; the steps make theirs.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DoubleType, IcebergType, LongType, NestedField, StringType, TimestamptzType

CATALOG = "orchard"  # the steps' Spark catalog has the same name: a SQLite catalog file keeps tables by it


def _schema(**columns: IcebergType) -> Schema:
    fields = enumerate(columns.items(), start=1)
    return Schema(*(NestedField(number, name, kind, required=False) for number, (name, kind) in fields))


BATCHES = _schema(
    uri=StringType(),
    etag=StringType(),
    size=LongType(),
    last_modified=TimestamptzType(),
    label=StringType(),
    action=StringType(),
    run_id=StringType(),
    extractor_id=StringType(),
    found_at=TimestamptzType(),
)
RUNS = _schema(
    run_id=StringType(),
    extractor_id=StringType(),
    started_at=TimestamptzType(),
    ended_at=TimestamptzType(),
    added=LongType(),
    changed=LongType(),
    deleted=LongType(),
    embedded=LongType(),
    rejected=LongType(),
    find_seconds=DoubleType(),
    extract_seconds=DoubleType(),
    reduce_seconds=DoubleType(),
    cluster=StringType(),
    cost_dollars=DoubleType(),
    basis_id=StringType(),
    why=StringType(),
    captured_of_best=DoubleType(),
    captured=DoubleType(),
    accuracy=DoubleType(),
    options=StringType(),  # of step 2, as JSON
)


def open_catalog(root: str, database: str = "orchard") -> Catalog:
    """Open the lake's catalog, with its database and the control plane's tables made where missing.

    Parameters
    ----------
    root : str
        A folder (made when missing), or ``s3://bucket[/prefix]``, whose tables are in Glue.

    Raises
    ------
    ValueError
        For a folder whose path holds ?, # or %.
    """
    if root.startswith("s3://"):
        properties = {"type": "glue", "warehouse": f"{root.rstrip('/')}/tables"}
        if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL")):
            properties["s3.endpoint"] = endpoint
        if region := os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION")):
            properties |= {"glue.region": region, "s3.region": region}
    else:
        folder = Path(root.removeprefix("file://")).absolute()
        if odd := sorted({*str(folder)} & {*"?#%"}):  # they would end, or escape, in the catalog's addresses
            raise ValueError(f"{root}: expected a folder for the lake without {' or '.join(odd)} in its path.")
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        properties = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"{folder}/tables"}
    catalog = load_catalog(CATALOG, **properties)
    catalog.create_namespace_if_not_exists(database)
    there = {name for _, name in catalog.list_tables(database)}
    for name, schema in (("batches", BATCHES), ("runs", RUNS)):
        if name not in there:
            # What a run wrote is replaced as a whole when it is done again.
            by_run = PartitionField(schema.find_field("run_id").field_id, 1000, IdentityTransform(), "run_id")
            catalog.create_table((database, name), schema, partition_spec=PartitionSpec(by_run))
    return catalog


def table_or_none(catalog: Catalog, database: str, name: str) -> Table | None:
    """Load a table that a step makes on its first run."""
    try:
        return catalog.load_table((database, name))
    except NoSuchTableError:
        return None


def append(table: Table, chunks: Iterable[pa.Table]) -> int:
    """Append chunks in one commit, holding one of them at a time; return the rows."""
    rows = 0
    with table.transaction() as transaction:
        for chunk in chunks:
            if chunk.num_rows:
                transaction.append(chunk)
                rows += chunk.num_rows
    return rows
