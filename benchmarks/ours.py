"""Ours: step 1 on a lake whose batch discovery has fixed, as the pipeline runs it."""

from benchmarks import tracing
from benchmarks.job import RUN_ID, SLOTS, Job, Step


def start(job: Job) -> Step:
    """Open the lake's Spark session, and no more."""
    from spark_jobs.extract_embeddings import extract
    from spark_jobs.extractor.artefact import Extractor
    from spark_jobs.tables.location import LakeLocation
    from spark_jobs.tables.session import open_lake

    extractor_id = Extractor.from_bytes(job.artefact.read_bytes()).extractor_id
    lake = open_lake(LakeLocation.parse(str(job.out)), "bench", SLOTS)

    def step() -> None:
        extract(lake, RUN_ID, extractor_id=extractor_id, artefact=str(job.artefact))

    return step


def start_traced(job: Job) -> Step:
    """Do the same with a note of when each part of the step happened: see `tracing`."""
    step = start(job)
    tracing.install(job.out)
    return step
