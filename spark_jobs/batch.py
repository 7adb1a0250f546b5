"""Batch: what a run set out to do, and the withdrawal of what it makes untrue.

The invariant of the lake: what stands in a table is true, what is missing is seen by its count. So before the
embeddings of a run change, the moments that hold them go; step 2 computes what is missing, whoever left it so.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.lake import Lake, run_in


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
        everyone = lake.table("batches", extractor_id=extractor_id)
        mine = everyone.where(F.col("run_id") == run_id)
        counted = mine.agg(
            F.max("found_at").alias("found_at"),
            F.count("*").alias("all"),
            F.count_if(F.col("action") != "delete").alias("photos"),
            F.count_if(F.col("action") == "add").alias("added"),
        ).collect()[0]
        if not counted["all"]:
            raise LookupError(
                f"The table batches holds nothing of run {run_id!r} with extractor {extractor_id!r}: "
                "expected the batch that discovery writes. Check --run-id and --extractor, or find new photos first."
            )
        done = lake.parts("embeddings", "rejects", extractor_id=extractor_id, run_id=run_id)
        rows = mine.select("uri", "etag", "size", "label", "action")
        # Files whose runs were found before are skipped by their bounds, so a day's usual run reads nothing here.
        found_later = (F.col("found_at") > F.lit(counted["found_at"])) & (F.col("run_id") != run_id)
        later = everyone.where(found_later).select("uri")
        if later.isEmpty():
            only_added = counted["all"] == counted["added"]
            return cls(run_id, extractor_id, rows, counted["photos"], only_added, bool(done))
        rows = rows.join(later.distinct(), "uri", "left_anti")
        return cls(run_id, extractor_id, rows, rows.where("action != 'delete'").count(), False, bool(done))

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
