"""Batch: what a run set out to do, and the withdrawal of what it makes untrue.

The invariant of the lake: what stands in a table is true, what is missing is seen by its count. So before the
embeddings of a run change, the moments that hold them go; step 2 computes what is missing, whoever left it so.
"""

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.tables.lake import Lake, run_in


@dataclass(frozen=True)
class Batch:
    """One run's batch for one extractor.

    Attributes
    ----------
    rows : DataFrame
        uri, etag, size, label, action: what this run still answers for. A photo that a later run took up is its.
    photos : int
        How many of them are to be embedded (actions add and change).
    appends_only : bool
        No photo was changed or deleted, and no later run took one up.
    done_before : bool
        The tables hold something of this run already.
    """

    run_id: str
    extractor_id: str
    rows: DataFrame
    photos: int
    appends_only: bool
    done_before: bool

    @classmethod
    def read(cls, lake: Lake, run_id: str, extractor_id: str) -> "Batch":
        """Read the batch that the control plane fixed.

        Raises
        ------
        LookupError
            `batches` holds nothing of this run and extractor.
        """
        of_extractor = ("extractor_id", "equal", extractor_id)
        of_run = (of_extractor, ("run_id", "equal", run_id))
        files = lake.files("batches", *of_run)
        if not files:
            raise LookupError(
                f"The table batches holds nothing of run {run_id!r} with extractor {extractor_id!r}: "
                "expected the batch that discovery writes. Check --run-id and --extractor, or find new photos first."
            )
        everyone = lake.table("batches", extractor_id=extractor_id)
        mine = everyone.where(F.col("run_id") == run_id).select("uri", "etag", "size", "label", "action", "found_at")
        done_before = any(lake.files(table, *of_run) for table in ("embeddings", "rejects"))
        # A usual day only adds photos, and is the newest: the metadata say so, and no Spark job is needed to know.
        bounds = [("action", "lessThan", "add"), ("action", "greaterThan", "add")]
        others = any(lake.files("batches", *of_run, bound) for bound in bounds)
        found_at = max(_upper_bound(lake, file, "found_at") for file in files)
        later = lake.files(
            "batches", of_extractor, ("run_id", "notEqual", run_id), ("found_at", "greaterThan", found_at)
        )
        if not others and not later:
            return cls(run_id, extractor_id, mine, sum(file.recordCount() for file in files), True, done_before)
        if later:
            newest = mine.agg(F.max("found_at")).collect()[0][0]
            taken_up = everyone.where((F.col("found_at") > F.lit(newest)) & (F.col("run_id") != run_id))
            mine = mine.join(taken_up.select("uri").distinct(), "uri", "left_anti")
        return cls(run_id, extractor_id, mine, mine.where("action != 'delete'").count(), False, done_before)

    def withdraw(self, lake: Lake) -> None:
        """Take out what this batch makes untrue: old rows of changed and deleted photos, and sums that hold them.

        Derived tables first, so that a kill in between leaves nothing wrong standing.
        """
        if self.appends_only and not self.done_before:
            return
        mine = {"extractor_id": self.extractor_id}
        there = lake.tables()
        for table in {"moments", "coordinates"} & there:
            lake.delete(table, run_id=self.run_id, **mine)
        uris = self.rows.select("uri")
        held = lake.table("embeddings", **mine).where(F.col("run_id") != self.run_id).join(uris, "uri", "left_semi")
        touched = [row.run_id for row in held.select("run_id").distinct().collect()]
        if touched and "moments" in there:
            condition = (F.col("extractor_id") == self.extractor_id) & run_in(touched)
            lake.replace_where("moments", lake.table("moments").limit(0), condition)
        for table in ("coordinates", "embeddings", "rejects"):
            if table in there:
                self._delete_rows(lake, table)

    def _delete_rows(self, lake: Lake, table: str) -> None:
        """Delete other runs' rows of this batch's photos."""
        self.rows.select("uri").createOrReplaceTempView("orchard_withdrawn")
        lake.spark.sql(
            f"DELETE FROM {lake.name(table)} WHERE extractor_id = :extractor AND run_id != :run "
            "AND uri IN (SELECT uri FROM orchard_withdrawn)",
            args={"extractor": self.extractor_id, "run": self.run_id},
        )


def _upper_bound(lake: Lake, file: Any, column: str) -> int:
    """Read the greatest value in a file: of a time, microseconds since 1970."""
    iceberg = lake.spark._jvm.org.apache.iceberg  # type: ignore[union-attr]
    table = iceberg.spark.Spark3Util.loadIcebergTable(lake.spark._jsparkSession, lake.name("batches"))
    field = table.schema().findField(column)
    bound = file.upperBounds().get(field.fieldId())
    return int(iceberg.types.Conversions.fromByteBuffer(field.type(), bound))
