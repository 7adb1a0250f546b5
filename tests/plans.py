"""Settings and a plan, as tests of the control plane take them."""

from dataclasses import replace
from typing import Any

from orchard.plan import Plan
from orchard.settings import Settings

EXTRACTOR = "mobilenet_v2-f32-0123456789ab"
SETTINGS = Settings(lake="s3://bucket/lake", prefixes=("s3://bucket/photos",), extractor=EXTRACTOR)
PLAN = Plan(
    dag_id="orchard_daily",
    dag_run_id="scheduled__2026-03-01T00:00:00+00:00",
    run_id="scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c",
    region="eu-west-1",
    lake="s3://bucket/lake",
    database="orchard",
    extractor_id=EXTRACTOR,
    engine="openvino",
    listed=22_688,
    added=1_200,
    changed=3,
    deleted=2,
    left=0,
    find_seconds=4.5,
    step_options={"refit": "auto"},
    instance_type="m5.xlarge",
    instance_types=("m5.xlarge",),
    spot=False,
    core_nodes=2,
    vcpus=8,
    rate=50.0,
    seconds=453.0,
    dollars=0.1,
    keep_cluster=False,
    plan_only=False,
    why="photos were added, changed or deleted",
)
CODE = {
    "package": "s3://bucket/lake/code/spark_jobs-0123456789ab.zip",
    "extract_embeddings": "s3://bucket/lake/code/0123456789ab/extract_embeddings.py",
    "reduce_embeddings": "s3://bucket/lake/code/0123456789ab/reduce_embeddings.py",
    "maintain_tables": "s3://bucket/lake/code/0123456789ab/maintain_tables.py",
}


def settings(**changes: Any) -> Settings:
    """Return `SETTINGS`, with changes."""
    return SETTINGS.but(**changes)


def plan(**changes: Any) -> Plan:
    """Return `PLAN`, with changes."""
    return replace(PLAN, **changes)
