"""Batch: what a run set out to do, and the withdrawal of what it makes untrue.

The invariant of the lake: what stands in a table is true, what is missing is seen by its count. So before the
embeddings of a run change, the moments that hold them go; step 2 computes what is missing, whoever left it so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.tables.lake import Lake, run_in

# Squares of the distance and of the length: float32 has 1e-7, and CPUs add in an order of their own.
_NEARLY_EQUAL = (
    "aggregate(zip_with(there.embedding, new.embedding, (x, y) -> pow(double(x) - y, 2)), 0D, (a, b) -> a + b) "
    "<= 1e-10 * aggregate(transform(there.embedding, x -> pow(double(x), 2)), 0D, (a, b) -> a + b)"
)


@dataclass(frozen=True)
class Batch:
    """One run's batch for one extractor.

    Attributes
    ----------
    rows : DataFrame
        uri, etag, size, label, label_rule, action: what this run still answers for. A photo that a later run took up
        is its.
    photos : int
        How many of them are to be embedded (actions add and change), or relabelled.
    relabels : int
        How many of them have another label only (action relabel).
    appends_only : bool
        No photo was changed, deleted or relabelled, and no later run took one up.
    done_before : bool
        The tables hold something of this run already.
    """

    run_id: str
    extractor_id: str
    rows: DataFrame
    photos: int
    relabels: int
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
        if "label_rule" not in everyone.columns:  # the batch, and all of the table, were found by an older version
            everyone = everyone.withColumn("label_rule", F.lit(None).cast("string"))
        columns = ("uri", "etag", "size", "label", "label_rule", "action", "found_at")
        mine = everyone.where(F.col("run_id") == run_id).select(*columns)
        done_before = any(lake.files(table, *of_run) for table in ("embeddings", "rejects"))
        # A usual day only adds photos, and is the newest: the metadata say so, and no Spark job is needed to know.
        bounds = [("action", "lessThan", "add"), ("action", "greaterThan", "add")]
        others = any(lake.files("batches", *of_run, bound) for bound in bounds)
        found_at = max(_upper_bound(lake, file, "found_at") for file in files)
        later = lake.files(
            "batches", of_extractor, ("run_id", "notEqual", run_id), ("found_at", "greaterThan", found_at)
        )
        if not others and not later:
            return cls(run_id, extractor_id, mine, sum(file.recordCount() for file in files), 0, True, done_before)
        if later:
            newest = mine.agg(F.max("found_at")).collect()[0][0]
            taken_up = everyone.where((F.col("found_at") > F.lit(newest)) & (F.col("run_id") != run_id))
            mine = mine.join(taken_up.select("uri").distinct(), "uri", "left_anti")
        counts = {row.action: row["count"] for row in mine.groupBy("action").count().collect()}
        photos = sum(count for action, count in counts.items() if action != "delete")
        return cls(run_id, extractor_id, mine, photos, counts.get("relabel", 0), False, done_before)

    def withdraw(self, lake: Lake) -> bool:
        """Take out what this batch makes untrue: old rows of its photos, and sums that hold them; say whether any was.

        Derived tables first, so that a kill in between leaves nothing wrong standing. Embeddings of photos that have
        another label only come over into this run's part.
        """
        if self.appends_only and not self.done_before:
            return False
        mine = {"extractor_id": self.extractor_id}
        there = lake.tables()
        uris = self.rows.select("uri")
        held = lake.table("embeddings", **mine).where(F.col("run_id") != self.run_id).join(uris, "uri", "left_semi")
        touched = [row.run_id for row in held.select("run_id").distinct().collect()]
        if touched:
            self.withdraw_own(lake)
        if touched and "moments" in there:
            condition = (F.col("extractor_id") == self.extractor_id) & run_in(touched)
            lake.replace_where("moments", lake.table("moments").limit(0), condition)
        self.rows.createOrReplaceTempView("orchard_batch")
        self._delete_rows(lake, there & {"coordinates"})
        if self.relabels:
            self._take_over(lake)
        self._delete_rows(lake, there & {"embeddings", "rejects"})
        return bool(touched)

    def withdraw_own(self, lake: Lake) -> None:
        """Take out what was made of this run's embeddings, before they change."""
        for table in {"moments", "coordinates"} & lake.tables():
            lake.delete(table, extractor_id=self.extractor_id, run_id=self.run_id)

    def holds(self, lake: Lake, rows: DataFrame) -> bool:
        """Say whether this run's part of `embeddings` holds just these rows, but for what two nodes round otherwise."""
        part = lake.table("embeddings", extractor_id=self.extractor_id, run_id=self.run_id)
        there, new = part.alias("there"), rows.alias("new")
        key = F.expr("there.uri = new.uri AND there.etag = new.etag AND there.label <=> new.label")
        same = there.join(new, key).where(_NEARLY_EQUAL)
        return part.count() == rows.count() == same.count()

    def kept(self, lake: Lake) -> DataFrame:
        """Return the embeddings in this run's part whose photos have another label only: they need not be read."""
        part = lake.table("embeddings", extractor_id=self.extractor_id, run_id=self.run_id)
        return part.join(self.rows.where("action = 'relabel'").select("uri", "etag"), ["uri", "etag"], "left_semi")

    def _take_over(self, lake: Lake) -> None:
        """Bring embeddings of other runs into this run's part under their new labels: one commit, all or nothing."""
        # Spark 4.1 plans no MERGE from a view of a table: computed beforehand, it is a view of rows.
        relabelled = self.rows.where("action = 'relabel'").select("uri", "etag", "label").localCheckpoint()
        relabelled.createOrReplaceTempView("orchard_relabelled")
        lake.spark.sql(
            f"MERGE INTO {lake.name('embeddings')} AS held "
            "USING orchard_relabelled AS batch "
            "ON held.extractor_id = :extractor AND held.run_id != :run "
            "AND held.uri = batch.uri AND held.etag = batch.etag "
            "WHEN MATCHED THEN UPDATE SET label = batch.label, run_id = :run",
            args={"extractor": self.extractor_id, "run": self.run_id},
        )

    def _delete_rows(self, lake: Lake, tables: Iterable[str]) -> None:
        """Delete other runs' rows of this batch's photos."""
        for table in tables:
            lake.spark.sql(
                f"DELETE FROM {lake.name(table)} WHERE extractor_id = :extractor AND run_id != :run "
                "AND uri IN (SELECT uri FROM orchard_batch)",
                args={"extractor": self.extractor_id, "run": self.run_id},
            )


def _upper_bound(lake: Lake, file: Any, column: str) -> int:
    """Read the greatest value in a file: of a time, microseconds since 1970."""
    iceberg = lake.spark._jvm.org.apache.iceberg  # type: ignore[union-attr]
    table = lake.iceberg("batches")
    field = table.schema().findField(column)
    bound = file.upperBounds().get(field.fieldId())
    return int(iceberg.types.Conversions.fromByteBuffer(field.type(), bound))
