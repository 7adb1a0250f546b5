"""Exports: coordinates and labels as plain Parquet and CSV files, for those who want no catalog.

``exports/<extractor_id>/<basis_id>/coordinates.parquet/run_id=<run>/<part>-<rows>.parquet``, and likewise
``coordinates.csv``, ``labels.parquet``, ``labels.csv``: each folder is read as one table by pandas, DuckDB, Athena.
Only the parts of runs that changed are written again; the row counts in the names tell which are up to date.
"""

import io
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from obstore.store import ObjectStore
from pyspark.sql import functions as F

from spark_jobs.running import objects
from spark_jobs.tables.lake import BatchTask, Lake, run_in
from spark_jobs.tables.vectors import matrix

_LOG = logging.getLogger("reduce")
_ROWS = 100_000  # in a file, about


def folder(extractor_id: str, basis_id: str) -> str:
    """Return where the exports of a basis stand, below the root of the lake."""
    return f"exports/{extractor_id}/{basis_id}"


def update(lake: Lake, run_id: str, extractor_id: str, basis_id: str, placed: Mapping[str, int]) -> int:
    """Write the exports of this run and of those that are not up to date; remove those of other bases.

    Parameters
    ----------
    placed : Mapping of str to int
        Rows of each run in `coordinates`.

    Returns
    -------
    int
        Rows written.
    """
    here = folder(extractor_id, basis_id)
    written: Counter[str] = Counter()
    store = objects.open_root(lake.location.root)
    for path in _paths(store, f"{here}/coordinates.parquet"):
        run, file = path.split("/")[-2:]
        written[run.removeprefix("run_id=")] += int(file.removesuffix(".parquet").rpartition("-")[2])
    stale = {run for run in placed.keys() | written.keys() if placed.get(run, 0) != written[run]} | {run_id}
    for run in sorted(stale & written.keys()):
        for kind in ("coordinates.parquet", "coordinates.csv", "labels.parquet", "labels.csv"):
            obstore.delete(store, _paths(store, f"{here}/{kind}/run_id={run}"))
    rows = sum(placed.get(run, 0) for run in stale)
    if rows:
        part = lake.table("coordinates", extractor_id=extractor_id, basis_id=basis_id).where(run_in(stale))
        buckets = -(-max(placed.get(run, 0) for run in stale) // _ROWS)
        part = part.withColumn("bucket", F.pmod(F.crc32("uri"), F.lit(buckets)))
        part = part.repartition(buckets * min(len(stale), 64), "run_id", "bucket").sortWithinPartitions("run_id", "uri")
        part.select("run_id", "bucket", "uri", "label", "coordinates").mapInArrow(
            _writer(lake.location.root, here), "rows bigint"
        ).collect()
    others = [path for path in _paths(store, f"exports/{extractor_id}") if not path.startswith(f"{here}/")]
    obstore.delete(store, others)
    return rows


def _paths(store: ObjectStore, prefix: str) -> list[str]:
    return [item["path"] for page in obstore.list(store, prefix) for item in page]


def _writer(root: str, here: str) -> BatchTask:
    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        waiting = list(batches)  # some files' worth
        if not waiting:
            return
        rows = pa.Table.from_batches(waiting)
        for file in rows.select(["run_id", "bucket"]).group_by(["run_id", "bucket"]).aggregate([]).to_pylist():
            of_file = (pc.field("run_id") == file["run_id"]) & (pc.field("bucket") == file["bucket"])
            _write(root, f"{here}/{{kind}}/run_id={file['run_id']}/{file['bucket']:05}-", rows.filter(of_file))
        yield pa.record_batch({"rows": pa.array([rows.num_rows], pa.int64())})

    return write


def _write(root: str, pattern: str, rows: pa.Table) -> None:
    store = objects.open_root(root)
    coordinates = matrix(rows["coordinates"].combine_chunks())
    width = len(str(coordinates.shape[1]))
    columns = {f"pc{i + 1:0{width}}": pa.array(np.ascontiguousarray(column)) for i, column in enumerate(coordinates.T)}
    labels = rows.select(["uri", "label"])
    wide = pa.table({"uri": rows["uri"], "label": rows["label"], **columns})
    # Coordinates as Parquet last: the name of that file is what says that this part is done.
    for kind, table in (("labels", labels), ("coordinates", wide)):
        parquet, csv = io.BytesIO(), io.BytesIO()
        pa.csv.write_csv(table, csv)
        pa.parquet.write_table(table, parquet)
        for suffix, file in (("csv", csv), ("parquet", parquet)):
            name = pattern.format(kind=f"{kind}.{suffix}") + f"{rows.num_rows}.{suffix}"
            obstore.put(store, name, file.getvalue())
