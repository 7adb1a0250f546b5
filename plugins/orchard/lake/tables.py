"""The lake as the control plane sees it: Iceberg tables through pyiceberg, without Spark.

It makes the two tables that the control plane writes, `batches` and `runs`; the steps make theirs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from botocore.exceptions import BotoCoreError
from pyarrow.fs import FileSystem
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.expressions import EqualTo
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import BooleanType, DoubleType, IcebergType, LongType, NestedField, StringType, TimestamptzType

from orchard.lake import accuracy
from orchard.lake.home import demand_home, demand_home_of_all, demand_room

CATALOG = "orchard"  # the steps' Spark catalog has the same name: a SQLite catalog file keeps tables by it


class ConflictError(CommitFailedException):
    """Another run wrote to a table at the same time."""

    def __init__(self, table: Table) -> None:
        super().__init__(
            f"Another run wrote to the table {table.name()[-1]} of the lake meanwhile, and this one left it as it was. "
            "Nothing is lost: the next try does it again, on what is there then."
        )


class NoLakeError(ValueError):
    """There is no lake where one was looked for."""


class NoAwsError(ValueError):
    """AWS cannot be asked from here: no credentials, no region, no such profile, no answer."""


@contextmanager
def asking_aws() -> Iterator[None]:
    """Make one sentence of what botocore says before it has asked anybody.

    Raises
    ------
    NoAwsError
    """
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        if os.environ.get(name) == "":  # botocore would look for a profile without a name
            del os.environ[name]
    try:
        yield
    except BotoCoreError as error:
        raise NoAwsError(
            f"AWS cannot be asked: {str(error).rstrip('.')}; expected credentials, a region (AWS_REGION), and of "
            "AWS_PROFILE, where it is set, a profile that AWS' configuration has."
        ) from error


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
    # New columns stand at the end: older tables get them when they are opened.
    label_rule=StringType(),  # by which label was found
)
HIERARCHY = _schema(label=StringType(), parent=StringType(), rule=StringType())  # see orchard.lake.parents
KNOWN = _schema(  # see orchard.lake.known
    file=StringType(),  # below the place of its table
    extractor_id=StringType(),
    uri=StringType(),
    etag=StringType(),
    label=StringType(),
    judged=BooleanType(),  # whether the rule of then found the label: of a photo rejected for just that, none
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
    options=StringType(),  # of step 2, as JSON
    # New columns, as above.
    listed=LongType(),
    left=LongType(),
    embed_seconds=DoubleType(),  # of step 1, without the start of Spark
    instance_type=StringType(),
    core_nodes=LongType(),
    vcpus=LongType(),  # that embedded
    cluster_seconds=DoubleType(),
    planned_seconds=DoubleType(),
    planned_dollars=DoubleType(),
    report=StringType(),  # address
    relabelled=LongType(),
    label_rule=StringType(),
    # Of the cluster's life, see `orchard.cluster.life.Life`.
    start_seconds=DoubleType(),
    bootstrap_seconds=DoubleType(),
    maintain_seconds=DoubleType(),
    wait_seconds=DoubleType(),
    end_seconds=DoubleType(),
    left_out=LongType(),  # files that are no photos by their names; of those listed
    left_out_kinds=StringType(),  # how many of each kind, as JSON
    unmade=StringType(),  # what could not be made beside the tables, and why, a line each
    notes=StringType(),  # what a person should know of the listing, as a JSON list of sentences
    # See `orchard.lake.accuracy`.
    **{column: DoubleType() for column in accuracy.SHARES},
    **{column: LongType() for column in accuracy.COUNTS},
)

_SPECS = {
    # What a run wrote is replaced as a whole when it is done again.
    "batches": PartitionSpec(
        PartitionField(BATCHES.find_field("run_id").field_id, 1000, IdentityTransform(), "run_id")
    ),
    # Of a row a run all are read each day: maintenance makes one file of them.
    "runs": PartitionSpec(),
}


def open_catalog(root: str, database: str = "orchard", properties: Mapping[str, str] = MappingProxyType({})) -> Catalog:
    """Open the lake's catalog, with its database and the control plane's tables made, or brought up to date.

    Parameters
    ----------
    root : str
        A folder (made when missing), or ``s3://bucket[/prefix]``, whose tables are in Glue.
    properties : Mapping of str to str
        More properties of pyiceberg's catalog, such as credentials (``glue.*``, ``s3.*``, ``client.*``); they come
        before what AWS' own variables say about endpoints and region.

    Raises
    ------
    ValueError
        For a folder whose path holds ?, # or %, or a new database's name that not everyone takes.
    AnotherLakeError
        The lake was copied or moved, or is another database's. Glue has one catalog an account and region: there,
        lakes are told apart by their databases.
    NoAwsError
    """
    with asking_aws():
        catalog = _open(root, properties)
        there = set()
        if catalog.namespace_exists(database):
            there = {name for _, name in catalog.list_tables(database)}
        if "batches" not in there:
            files, path = _files(catalog, root)
            demand_room(root, database, files, path)
            catalog.create_namespace_if_not_exists(database)
    for name, schema in (("batches", BATCHES), ("runs", RUNS)):
        if name in there:
            table = catalog.load_table((database, name))
            demand_home(root, table.location())
            _add_columns(table, schema)
            if name == "runs":
                _put_together(table)
        else:
            catalog.create_table_if_not_exists((database, name), schema, partition_spec=_SPECS[name])
    return catalog


def existing_catalog(
    root: str, database: str = "orchard", properties: Mapping[str, str] = MappingProxyType({})
) -> Catalog:
    """Open the catalog of a lake that is there, as `open_catalog` does; nothing is made, and nothing changed.

    Raises
    ------
    NoLakeError
        There is none.
    AnotherLakeError
        It was copied or moved, or the database is another lake's.
    NoAwsError
    """
    missing = f"There is no lake at {root}, database {database}: no run has written to it yet, or they are others."
    in_glue = root.startswith("s3://")
    if not in_glue and not (Path(root.removeprefix("file://")) / "catalog.db").is_file():
        raise NoLakeError(missing)
    with asking_aws():
        catalog = _open(root, properties)
        runs = table_or_none(catalog, database, "runs")
    if runs is None:
        raise NoLakeError(missing)
    demand_home(root, runs.location())
    return catalog


def register(root: str, database: str, metadata: Iterable[str]) -> None:
    """Make a database of tables whose metadata lie in the lake already; `batches`, which tells that it is one, last.

    Raises
    ------
    AnotherLakeError
        The database has tables elsewhere.
    """
    catalog = _open(root)
    catalog.create_namespace_if_not_exists(database)
    by_name = {address.split("/")[-3]: address for address in metadata}
    for name in sorted(by_name, key=lambda name: name == "batches"):
        if (there := table_or_none(catalog, database, name)) is None:
            catalog.register_table((database, name), by_name[name])
        else:
            demand_home(root, there.location())


def _open(root: str, properties: Mapping[str, str] = MappingProxyType({})) -> Catalog:
    place = _in_glue(root) if root.startswith("s3://") else _in_sqlite(root)
    return load_catalog(CATALOG, **{**place, **properties})


def _files(catalog: Catalog, root: str) -> tuple[FileSystem, str]:
    """Open the lake's files as the catalog would: the file system, and the lake's root in it."""
    io = PyArrowFileIO(catalog.properties)
    scheme, bucket, path = PyArrowFileIO.parse_location(root.rstrip("/").removeprefix("file://"))
    return io.fs_by_scheme(scheme, bucket), path


def _in_glue(root: str) -> dict[str, str]:
    properties = {"type": "glue", "warehouse": f"{root.rstrip('/')}/tables"}
    for service in ("s3", "glue"):
        if endpoint := os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}", os.environ.get("AWS_ENDPOINT_URL")):
            properties[f"{service}.endpoint"] = endpoint
    if region := os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION")):
        properties["client.region"] = region
    return properties


def _in_sqlite(root: str) -> dict[str, str]:
    folder = Path(root.removeprefix("file://")).absolute()
    if odd := sorted({*str(folder)} & {*"?#%"}):  # they would end, or escape, in the catalog's addresses
        raise ValueError(f"{root}: expected a folder for the lake without {' or '.join(odd)} in its path.")
    demand_home_of_all(folder)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    return {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"{folder}/tables"}


def _add_columns(table: Table, schema: Schema) -> None:
    """Add the columns that a table of an older version lacks; where another does so just now, that is as good."""
    if set(schema.column_names) <= set(table.schema().column_names):
        return
    try:
        with table.update_schema() as update:
            update.union_by_name(schema)
    except CommitFailedException:
        if not set(schema.column_names) <= set(table.refresh().schema().column_names):
            raise


def _put_together(table: Table) -> None:
    """Let `runs` of an older version, which had a file a run for ever, be written as `_SPECS` says."""
    if table.spec().fields:
        with suppress(CommitFailedException), table.update_spec() as update:  # another does so just now
            update.remove_field("run_id")


def table_or_none(catalog: Catalog, database: str, name: str) -> Table | None:
    """Load a table that a step makes on its first run."""
    try:
        return catalog.load_table((database, name))
    except NoSuchTableError:
        return None


def append(table: Table, chunks: Iterable[pa.Table]) -> int:
    """Append chunks in one commit, holding one of them at a time; return the rows."""
    rows = 0
    with _told(table), table.transaction() as transaction:
        for chunk in chunks:
            if chunk.num_rows:
                transaction.append(chunk)
                rows += chunk.num_rows
    return rows


def replace_all(table: Table, rows: pa.Table) -> None:
    """Replace all rows of a small table in one commit."""
    with _told(table):
        if next(iter(table.scan().plan_files()), None) is None:  # as below
            table.append(rows)
        else:
            table.overwrite(rows)


def replace_run(catalog: Catalog, database: str, row: Mapping[str, Any]) -> None:
    """Replace a run's row of `runs`, or add it, in one commit; columns that `row` lacks are null.

    Raises
    ------
    ValueError
        `row` has no run_id, or a key that is no column.
    """
    if not row.get("run_id"):
        raise ValueError(f"Expected a row of runs with its run_id, got {dict(row)}.")
    table = catalog.load_table((database, "runs"))
    if unknown := sorted(row.keys() - set(table.schema().column_names)):
        raise ValueError(f"The table runs has no column {', '.join(unknown)}; it has {', '.join(RUNS.column_names)}.")
    mine = EqualTo("run_id", row["run_id"])
    rows = pa.Table.from_pylist([dict(row)], table.schema().as_arrow())
    with _told(table):
        if len(table.scan(mine, selected_fields=("run_id",)).to_arrow()):
            table.overwrite(rows, mine)
        else:  # pyiceberg warns where there is nothing to replace
            table.append(rows)


@contextmanager
def _told(table: Table) -> Iterator[None]:
    """Say a conflict in a sentence."""
    try:
        yield
    except CommitFailedException:
        raise ConflictError(table) from None
