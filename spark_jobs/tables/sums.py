"""Sums: partial sums of runs' moments, kept in a table of that name by what they are sums of."""

from collections.abc import Iterator
from functools import reduce

from pyspark.sql import functions as F

from spark_jobs.exact.moments import Moments
from spark_jobs.exact.partial_sums import Sum
from spark_jobs.tables.lake import Lake, run_in


def total(lake: Lake, extractor_id: str, asked: Sum) -> Moments:
    """Sum runs: of the partial sums that are there; those that are missing are made and kept, and others go."""
    wanted = {part.name for part in asked.all_kept()}
    there = set(_names(lake, extractor_id)) if "sums" in lake.tables() else set()
    if wanted - there:
        lake.create_tables("sums")
    found = _sum(lake, extractor_id, asked, there)
    if there - wanted:
        sums = lake.name("sums")
        gone = ", ".join(f"'{name}'" for name in sorted(there - wanted))  # of hexadecimal digits
        lake.spark.sql(
            f"DELETE FROM {sums} WHERE extractor_id = :extractor AND name IN ({gone})", {"extractor": extractor_id}
        )
    return found


def _names(lake: Lake, extractor_id: str) -> Iterator[str]:
    lake.demand_home("sums")
    for row in lake.partitions("sums", extractor_id=extractor_id).select("name").collect():
        yield row.name


def _sum(lake: Lake, extractor_id: str, asked: Sum, there: set[str]) -> Moments:
    return reduce(Moments.__add__, _parts(lake, extractor_id, asked, there))


def _parts(lake: Lake, extractor_id: str, asked: Sum, there: set[str]) -> Iterator[Moments]:
    """Read or make the parts of a sum, one at a time."""
    if names := [part.name for part in asked.kept if part.name in there]:
        kept = lake.table("sums", extractor_id=extractor_id).where(F.col("name").isin(names))
        yield from (Moments.unpack(bytes(row.moments)) for row in kept.select("moments").toLocalIterator())
    for part in asked.kept:
        if part.name not in there:
            made = _sum(lake, extractor_id, part, there)
            row = {"extractor_id": extractor_id, "name": part.name, "moments": made.pack()}
            lake.replace("sums", lake.rows("sums", [row]), extractor_id=extractor_id, name=part.name)
            yield made
    if asked.loose:
        own = lake.table("moments", extractor_id=extractor_id).where(run_in(run.name for run in asked.loose))
        yield from (Moments.unpack(bytes(row.batch)) for row in own.select("batch").toLocalIterator())
