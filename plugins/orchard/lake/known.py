"""Known: uri, etag and label of all photos that a lake holds, without a pass over the files that hold their vectors.

A file of a table never changes. So what files say of their photos is kept beside them in the table `known`, file by
file: a copy to read in one piece, which nothing else is read from. A row of a file that is gone counts for nothing,
and a file of which nothing is kept is read itself; the table may be dropped at any time.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import AlwaysTrue, EqualTo
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.table import FileScanTask, Table
from pyiceberg.transforms import IdentityTransform

from orchard.lake.tables import KNOWN, append, table_or_none

FEW = 64  # files that are read themselves each time, before a piece is made of them
_COLUMNS = {
    "embeddings": ("label", "label, true"),
    "rejects": ("reason", "NULL, starts_with(reason, 'no label')"),
}
_THREADS = 8
_ROWS = 200_000  # that are held at once


@dataclass(frozen=True)
class _File:
    table: Table
    kind: str
    task: FileScanTask

    @property
    def name(self) -> str:
        """Name that it keeps when the lake is moved."""
        return f"{self.kind}{self.task.file.file_path.removeprefix(self.table.location())}"

    @property
    def whole(self) -> bool:
        """Whether all its rows stand."""
        return not self.task.delete_files


def load(
    db: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    database: str,
    extractor_id: str,
    prefixes: Sequence[str],
    *,
    write: bool = True,
) -> None:
    """Load what is embedded or rejected into new tables: under the prefixes into `known`, all other into `elsewhere`.

    Their columns are file, uri, etag, label, and ``judged``: whether `label` was found by the rule of then, which
    found none for a photo that was rejected for just that.

    Parameters
    ----------
    write : bool
        Whether what is read may be kept for the next time.
    """
    columns = "(file VARCHAR, uri VARCHAR, etag VARCHAR, label VARCHAR, judged BOOLEAN)"
    db.execute(f"CREATE TABLE known {columns}; CREATE TABLE elsewhere {columns}")
    db.execute("CREATE VIEW held AS SELECT * FROM known UNION ALL SELECT * FROM elsewhere")
    under = " OR ".join("starts_with(uri, ?)" for _ in prefixes)

    def take(part: pa.Table, select: str) -> None:
        db.register("part", part)
        for into, there in (("known", f"({under})"), ("elsewhere", f"NOT ({under})")):
            db.execute(f"INSERT INTO {into} SELECT {select} FROM part WHERE {there}", list(prefixes))

    files = {one.name: one for one in _files(catalog, database, extractor_id)}
    whole = pa.array([name for name, one in files.items() if one.whole], pa.string())
    kept, rows, alive = set[str](), 0, 0
    for part in _kept(catalog, database, extractor_id):
        standing = part.filter(pc.is_in(part["file"], whole))
        kept, rows, alive = kept | {*part["file"].unique().to_pylist()}, rows + len(part), alive + len(standing)
        take(standing, "file, uri, etag, label, judged")
    missing = [one for name, one in files.items() if name not in kept or not one.whole]
    for one, photos in _read(missing):
        name = pa.array([one.name if one.whole else None] * len(photos), pa.string())
        take(photos.append_column("file", name), f"file, uri, etag, {_COLUMNS[one.kind][1]}")
    if write and rows - alive > alive:
        _keep(db, catalog, database, extractor_id, "file IS NOT NULL", anew=True)
    elif write and sum(one.whole for one in missing) > FEW:
        db.register("kept", pa.table({"kept": pa.array(sorted(kept), pa.string())}))
        _keep(db, catalog, database, extractor_id, "file NOT IN (SELECT kept FROM kept)")


def _kept(catalog: Catalog, database: str, extractor_id: str) -> Iterator[pa.Table]:
    """Read what is kept, some rows at a time: pyiceberg's own reader holds files as a whole."""
    if (table := table_or_none(catalog, database, "known")) is not None:
        for task in table.scan(EqualTo("extractor_id", extractor_id)).plan_files():
            with table.io.new_input(task.file.file_path).open() as file:
                for batch in pq.ParquetFile(file).iter_batches(_ROWS, columns=[*KNOWN.column_names]):
                    yield pa.Table.from_batches([batch])


def _files(catalog: Catalog, database: str, extractor_id: str) -> Iterator[_File]:
    for kind in _COLUMNS:
        if (table := table_or_none(catalog, database, kind)) is not None:
            for task in table.scan(EqualTo("extractor_id", extractor_id)).plan_files():
                yield _File(table, kind, task)


def _read(files: list[_File]) -> Iterator[tuple[_File, pa.Table]]:
    """Read the columns of files that are asked for, a few files at a time."""
    waiting = iter(files)
    with ThreadPoolExecutor(_THREADS) as pool:
        while some := list(islice(waiting, 2 * _THREADS)):
            yield from zip(some, pool.map(_photos, some), strict=True)


def _photos(one: _File) -> pa.Table:
    column, _ = _COLUMNS[one.kind]
    schema = one.table.schema().select("uri", "etag", column)
    return ArrowScan(one.table.metadata, one.table.io, schema, AlwaysTrue()).to_table([one.task])


def _keep(
    db: duckdb.DuckDBPyConnection, catalog: Catalog, database: str, extractor_id: str, rows: str, anew: bool = False
) -> None:
    """Keep rows of `held`, beside those that are kept or in their place."""
    by_extractor = PartitionField(KNOWN.find_field("extractor_id").field_id, 1000, IdentityTransform(), "extractor_id")
    table = catalog.create_table_if_not_exists((database, "known"), KNOWN, partition_spec=PartitionSpec(by_extractor))
    if anew:
        table.delete(EqualTo("extractor_id", extractor_id))  # killed here, all files are read once more
    columns = ", ".join("?::VARCHAR AS extractor_id" if name == "extractor_id" else name for name in KNOWN.column_names)
    held = db.sql(f"SELECT {columns} FROM held WHERE {rows}", params=[extractor_id]).to_arrow_reader(_ROWS)
    append(table, (pa.Table.from_batches([batch]) for batch in held))
