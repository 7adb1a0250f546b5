"""Step 1: embed the photos of a run's batch.

Reads the run's part of `batches`, writes its parts of `embeddings` and `rejects`. Doing it again replaces them.
"""

import argparse
import logging
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from spark_jobs.extractor.engines import ENGINES, Extractor
from spark_jobs.running.objects import read_whole
from spark_jobs.running.outcome import Outcome
from spark_jobs.running.progress import Progress
from spark_jobs.running.worker import OUTCOME, embedding_task, load_engine
from spark_jobs.tables.batch import Batch
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.location import REFUSALS, LakeLocation
from spark_jobs.tables.session import log_to_stderr, open_lake

_LOG = logging.getLogger("extract")
_SMALLEST_TASK, _LARGEST_TASK = 256, 4096  # photos: seconds of work, against the fixed cost of a task, and its file


@dataclass(frozen=True)
class Extracted:
    """What step 1 did: of `photos`, each was embedded or rejected; those `relabelled` come beside them.

    Attributes
    ----------
    withdrew : bool
        Whether it took out what step 2 had made, which step 2 has to make anew.
    """

    photos: int = 0
    embedded: int = 0
    rejected: int = 0
    seconds: float = 0.0
    relabelled: int = 0
    withdrew: bool = False


def extract(lake: Lake, run_id: str, extractor_id: str, artefact: str, engine: str = "openvino") -> Extracted:
    """Embed a run's batch in the lake's Spark session.

    Parameters
    ----------
    artefact : str
        Path or s3:// address of the extractor's artefact, as workers see it.

    Raises
    ------
    RuntimeError
        Photos of the batch ended neither embedded nor rejected.
    """
    warming = _warm_up(lake, artefact, engine)
    lake.create_tables("embeddings", "rejects")
    batch = Batch.read(lake, run_id, extractor_id)
    withdrew = batch.withdraw(lake)
    mine = {"extractor_id": extractor_id, "run_id": run_id}
    context = lake.spark.sparkContext
    done, rejected = context.accumulator(0), context.accumulator(0)
    task = embedding_task(artefact, engine, done, rejected)

    def outcomes(photos: DataFrame, count: int) -> DataFrame:
        # Only keys are shuffled, and dealt out evenly: neither folders nor file sizes decide who does what.
        dealt = photos.repartition(tasks(count, context.defaultParallelism))
        return dealt.mapInArrow(task, OUTCOME).withColumns({name: F.lit(value) for name, value in mine.items()})

    photos = batch.rows.where("action != 'delete'").select("uri", "etag", "size", "label", "label_rule")
    kept = batch.kept(lake)
    relabelled = kept.count() if batch.relabels else 0
    if relabelled:  # one whose embedding is not there any more is embedded like a new one
        photos = photos.join(kept.select("uri"), "uri", "left_anti")
    asked = batch.photos - relabelled
    warming.result()
    with Progress(asked, done, rejected, _LOG) as progress:
        if asked or not relabelled:
            rows = outcomes(photos, asked).where("reason IS NULL").select(*kept.columns)
            rows = rows.union(kept) if relabelled else rows
            if batch.done_before:  # what comes out as it was stays, and with it all that was made of it
                rows = rows.persist(StorageLevel.DISK_ONLY)
            if not (batch.done_before and batch.holds(lake, rows)):
                if batch.done_before:
                    batch.withdraw_own(lake)
                    withdrew = True
                lake.replace("embeddings", rows, **mine)
    embedded = lake.count("embeddings", **mine) - relabelled
    refused = asked - embedded
    if refused or batch.done_before:
        # Few as a rule: they are read once more for their reasons, which is cheaper than keeping all outcomes.
        left = photos.join(lake.table("embeddings", **mine).select("uri"), "uri", "left_anti")
        lake.replace("rejects", outcomes(left, refused).where("reason IS NOT NULL"), **mine)
        refused = lake.count("rejects", **mine)
    if embedded + refused != asked:
        raise RuntimeError(
            f"Run {run_id}: {asked} photos were to be embedded, {embedded} were and {refused} were rejected: "
            "some could be read the second time, and not the first. Run the step again."
        )
    return Extracted(asked, embedded, refused, progress.seconds, relabelled, withdrew)


def _warm_up(lake: Lake, artefact: str, engine: str) -> "Future[list[Row]]":
    """Let workers start and load the engine while the driver plans: seconds, which the first photos would wait for."""
    slots = lake.spark.sparkContext.defaultParallelism

    def load(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        load_engine(artefact, engine)
        return batches

    # The same kind of task as the real one, or Spark would start other workers for that.
    task = lake.spark.range(0, slots, 1, slots).mapInArrow(load, "id bigint")
    return ThreadPoolExecutor(1, "warm-up").submit(task.collect)


def tasks(photos: int, slots: int) -> int:
    """How many tasks share a batch: small ones for a small batch, larger (and larger files) for a large one."""
    size = min(max(math.ceil(photos / (8 * slots)), _SMALLEST_TASK), _LARGEST_TASK)
    rounds = math.ceil(photos / size / slots)
    return max(rounds, 1) * slots


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read step 1's command line, which is the contract with the control plane."""
    parser = argparse.ArgumentParser(prog="extract_embeddings", description=__doc__)
    parser.add_argument("--lake", required=True, help="folder or s3://bucket[/prefix] of the lake")
    parser.add_argument("--database", default="orchard", help="database of the tables (default: orchard)")
    parser.add_argument("--run-id", required=True, help="the run whose batch is to be embedded")
    parser.add_argument("--extractor", required=True, help="artefact: a path that each worker has, or s3://...")
    parser.add_argument("--engine", choices=ENGINES, default="openvino", help="default: openvino")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run step 1 from its command line."""
    args = parse(argv)
    log_to_stderr()
    location = LakeLocation.of(args)
    with Outcome(location.root, args.run_id, "extract").told(*REFUSALS) as outcome:
        extractor = Extractor.from_bytes(read_whole(args.extractor))
        lake = open_lake(location, f"orchard extract {args.run_id}")
        extracted = extract(lake, args.run_id, extractor.extractor_id, args.extractor, args.engine)
        _LOG.info("%s", extracted)
        outcome.succeeded(extracted)


if __name__ == "__main__":
    main()
