"""The lake as the data plane sees it: its Iceberg tables in Spark, and how a part of one is replaced.

The control plane makes `batches` and `runs` (plugins/orchard/lake/tables.py); what the two steps write is made here.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_jobs.tables.location import CATALOG, LakeLocation, NoDatabaseError

# Columns and partitions. What is replaced as a part must be a partition: bounds of strings are cut to 16 characters.
_TABLES = {
    "embeddings": (
        "uri string, etag string, label string, extractor_id string, embedding array<float>, run_id string",
        "extractor_id, run_id",
    ),
    "rejects": (
        "uri string, etag string, extractor_id string, reason string, run_id string",
        "extractor_id, run_id",
    ),
    "moments": (
        "extractor_id string, run_id string, count bigint, batch binary, moments_id string, "
        "total binary, total_count bigint, covers string, created_at timestamp",
        "extractor_id, run_id",
    ),
    "sums": ("extractor_id string, name string, moments binary", "extractor_id, name"),
    "bases": (
        "extractor_id string, basis_id string, mean array<double>, scale array<double>, "
        "components array<array<double>>, eigenvalues array<double>, count bigint, created_at timestamp, why string, "
        "asked_components int, asked_variance double, standardize boolean",
        "extractor_id, basis_id",
    ),
    # basis_id is a partition, too, so that the table's metadata tell which parts stand in which basis.
    "coordinates": (
        "uri string, etag string, label string, extractor_id string, basis_id string, coordinates array<float>, "
        "run_id string",
        "extractor_id, basis_id, run_id",
    ),
    "recognisers": (
        "extractor_id string, run_id string, labels array<string>, weights array<array<double>>, "
        "biases array<double>, shrinkage double, count bigint, created_at timestamp",
        "extractor_id, run_id",
    ),
}
# Columns that came later, at the end: older tables get them when a step begins.
_LATER = {
    "recognisers": {
        "by_label": "array<struct<label: string, right_before: bigint, judged_before: bigint, right_folds: bigint, "
        "judged_folds: bigint>>",
        "temperature": "double",
        "far": "double",
        "whole": "boolean",  # whether the weights are there
        # Of the run's photos: see spark_jobs.exact.calibration.
        "judged": "bigint",
        "right": "bigint",
        "certainties": "array<double>",
        "distances": "array<bigint>",
    },
}
BOUND = 16  # characters of a string that Iceberg keeps as a bound
_EMPTIED_AT_ONCE = 8  # rows whose large columns a run empties
BatchTask = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]  # what mapInArrow takes
_PROPERTIES = {
    "format-version": "2",
    # A task's rows all belong to one part: no shuffle before writing.
    "write.distribution-mode": "none",
    "write.parquet.compression-codec": "zstd",
    # ... and no sort, either.
    "write.spark.fanout.enabled": "true",
    # A run commits to a table a few times: keep enough old metadata for time travel's sake, not all of it.
    "write.metadata.delete-after-commit.enabled": "true",
}


@dataclass(frozen=True)
class Lake:
    """The tables of a lake in a Spark session that was opened on it.

    Attributes
    ----------
    started_spark : bool
        Whether opening it started Spark, so that closing it ends Spark.
    """

    spark: SparkSession
    location: LakeLocation
    started_spark: bool = False

    def close(self) -> None:
        """End Spark if this lake started it; in any case let others write to the SQLite catalog of a local lake.

        Java goes on as long as this process, whether or not there is a Spark in it.
        """
        if not self.location.is_s3:
            catalogs = self.spark._jsparkSession.sessionState().catalogManager()
            catalogs.catalog(CATALOG).icebergCatalog().close()
        if self.started_spark:
            self.spark.stop()

    def demand_home(self, *tables: str) -> None:
        """Refuse a lake whose tables are elsewhere: `LakeLocation.demand_home`; those that are not made yet are not."""
        for table in {*tables} & self.tables():
            self.location.demand_home(self.iceberg(table).location())

    def demand_database(self) -> None:
        """Refuse a database that Glue has not, in a sentence with those whose tables lie in the lake.

        Raises
        ------
        NoDatabaseError
        """
        if self.spark.catalog.databaseExists(self._namespace):
            return
        import boto3  # only to say what went wrong

        root = self.location.root
        bucket, _, key = root.removeprefix("s3://").partition("/")
        s3 = boto3.Session(region_name=os.environ.get("AWS_REGION") or None).client("s3")
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{key}/tables/".lstrip("/"), Delimiter="/")
        folders = [one["Prefix"].split("/")[-2] for one in listed.get("CommonPrefixes", ())]
        names = [folder.removesuffix(".db") for folder in folders]
        lake = f"the lake {root} was made as {' or '.join(names)}" if names else f"there is no lake at {root}"
        raise NoDatabaseError(f"Glue has no database {self.location.database!r} (--database): {lake}.")

    def iceberg(self, table: str) -> Any:
        """Load a table as Iceberg's own Java object."""
        spark = self.spark._jvm.org.apache.iceberg.spark  # type: ignore[union-attr]
        return spark.Spark3Util.loadIcebergTable(self.spark._jsparkSession, self.name(table))

    def create_tables(self, *names: str) -> None:
        """Make those of the tables named that are missing, with the columns that are; only what the steps write."""
        there = self.tables()
        properties = ", ".join(f"'{key}'='{value}'" for key, value in _PROPERTIES.items())
        for name in names:
            columns, partitions = _TABLES[name]
            later = {column: f"{column} {kind}" for column, kind in _LATER.get(name, {}).items()}
            if name not in there:
                self.spark.sql(
                    f"CREATE TABLE IF NOT EXISTS {self.name(name)} ({', '.join([columns, *later.values()])}) "
                    f"USING iceberg PARTITIONED BY ({partitions}) TBLPROPERTIES ({properties})"
                )
            elif new := later.keys() - set(self.spark.table(self.name(name)).columns):
                added = ", ".join(one for column, one in later.items() if column in new)
                self.spark.sql(f"ALTER TABLE {self.name(name)} ADD COLUMNS ({added})")

    def tables(self) -> set[str]:
        """Return the names of the tables that there are."""
        return {row.tableName for row in self.spark.sql(f"SHOW TABLES IN {self._namespace}").collect()}

    def name(self, table: str) -> str:
        """Return the full name of a table in SQL."""
        return f"{self._namespace}.{table}"

    def table(self, table: str, **equals: str) -> DataFrame:
        """Read a table, or the part of it in which columns equal the values given."""
        frame = self.spark.table(self.name(table))
        return frame.where(_condition(equals)) if equals else frame

    def parts(self, *tables: str, **equals: str) -> dict[str, int]:
        """Count rows of each run in the tables together, from their metadata alone: {run_id: rows}, if any."""
        parts = (self.partitions(table, **equals).select("run_id", "record_count") for table in tables)
        rows = reduce(DataFrame.union, parts).groupBy("run_id").agg(F.sum("record_count").alias("rows")).collect()
        return {row.run_id: row.rows for row in rows}

    def partitions(self, table: str, **equals: str) -> DataFrame:
        """Read which parts a table has, from its metadata alone: what they are partitioned by, and `record_count`."""
        parts = self.spark.table(f"{self.name(table)}.partitions").select("partition.*", "record_count")
        return parts.where(_condition(equals)).where("record_count > 0")

    def single_rows(self, table: str, *columns: str, **equals: str) -> list[Row]:
        """Read rows of a table that has a row a part from the bounds in its metadata: no file is opened.

        Parameters
        ----------
        columns : str
            Of numbers, flags and times, or of strings, of which there are `BOUND` characters. Null where a row's is.

        Returns
        -------
        list of Row
            With what the table is partitioned by, and the columns.
        """
        bounds = [F.col(f"readable_metrics.`{column}`.lower_bound").alias(column) for column in columns]
        files = self.spark.table(f"{self.name(table)}.data_files").select("partition.*", *bounds)
        return files.where(_condition(equals)).collect()

    def files(self, table: str, *conditions: tuple[str, str, Any]) -> list[Any]:
        """Find the files that may hold rows for which all conditions hold: by their bounds, without a Spark job.

        Parameters
        ----------
        conditions : tuple of (column, operation, value)
            An operation is a method of Iceberg's Expressions: ``equal``, ``notEqual``, ``lessThan``, ``greaterThan``.

        Returns
        -------
        list of org.apache.iceberg.DataFile
            With their row counts and bounds. For conditions on partitions they hold just the rows asked for.
        """
        iceberg = self.spark._jvm.org.apache.iceberg  # type: ignore[union-attr]
        scan = self.iceberg(table).newScan()
        for column, operation, value in conditions:
            scan = scan.filter(getattr(iceberg.expressions.Expressions, operation)(column, value))
        planned, found = scan.includeColumnStats().planFiles(), []
        try:
            tasks = planned.iterator()
            while tasks.hasNext():
                found.append(tasks.next().file())
        finally:
            planned.close()
        return found

    def count(self, table: str, **equals: str) -> int:
        """Count the rows of a part, from its metadata alone."""
        return sum(file.recordCount() for file in self.files(table, *((c, "equal", v) for c, v in equals.items())))

    def replace(self, table: str, rows: DataFrame, **equals: str) -> None:
        """Replace the part in which columns equal the values given by `rows`, in one commit; none empties it."""
        self.replace_where(table, rows, _condition(equals))

    def replace_row(self, table: str, row: Mapping[str, Any], **equals: str) -> None:
        """Replace a row of a table whose files hold rows of others: it is gone for a moment."""
        if not self.table(table, **equals).isEmpty():
            self.delete(table, **equals)
        self.rows(table, [row]).writeTo(self.name(table)).append()

    def replace_where(self, table: str, rows: DataFrame, condition: Column) -> None:
        """Replace the rows for which `condition` holds, which must be whole partitions or few rows."""
        rows.select(*self.spark.table(self.name(table)).columns).writeTo(self.name(table)).overwrite(condition)

    def replace_newest(self, table: str, row: Mapping[str, Any], sign: str, *large: str) -> None:
        """Replace a run's row, and empty columns of the extractor's other rows, in one commit.

        What only the newest row is read for would else make a day of few photos as large as a lake's. An older row as
        it was is read by time travel.

        Parameters
        ----------
        sign : str
            A column of numbers or flags that a row has where it has the large ones; it is emptied with them.
        """
        others = self.table(table, extractor_id=row["extractor_id"]).where(F.col("run_id") != row["run_id"])
        others = others.where(F.col(sign).isNotNull())
        # One, but in a lake of an older version: a writer holds each run's file in memory until all are written.
        run_ids = [one.run_id for one in others.select("run_id").limit(_EMPTIED_AT_ONCE).collect()]
        rows = self.rows(table, [row])
        if run_ids:
            kinds, others = {one.name: one.dataType for one in others.schema}, others.where(run_in(run_ids))
            rows = rows.unionByName(others.withColumns({one: F.lit(None).cast(kinds[one]) for one in (sign, *large)}))
        part = (F.col("extractor_id") == row["extractor_id"]) & run_in([row["run_id"], *run_ids])
        self.replace_where(table, rows, part)

    def delete(self, table: str, **equals: str) -> None:
        """Delete the part in which columns equal the values given."""
        where = " AND ".join(f"{column} = :{column}" for column in equals)
        self.spark.sql(f"DELETE FROM {self.name(table)} WHERE {where}", args=dict(equals))

    def rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
        """Make a frame of a few rows of a table, through Arrow: a pickled RDD would take seconds.

        Columns that the rows lack are null: older tables have some that are not written any more.
        """
        schema: StructType = self.spark.table(self.name(table)).schema
        columns = {field.name: [row.get(field.name) for row in rows] for field in schema}
        return self.spark.createDataFrame(pd.DataFrame(columns), schema)

    @property
    def _namespace(self) -> str:
        return f"{CATALOG}.`{self.location.database}`"


def run_in(run_ids: Iterable[str]) -> Column:
    """Condition on the run."""
    return F.col("run_id").isin(sorted(run_ids))


def _condition(equals: Mapping[str, str]) -> Column:
    condition = F.lit(True)
    for column, value in equals.items():
        condition = condition & (F.col(column) == value)
    return condition
