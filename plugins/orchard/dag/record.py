"""Record: what is kept of a run when its steps are done, its row of `runs` and its page."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchard import aws
from orchard.cluster import account, emr
from orchard.cluster.life import Life, Marks
from orchard.dag.links import run_url
from orchard.lake.tables import replace_run
from orchard.plan import Plan, request_json
from orchard.report.page import gather, render
from orchard.settings import Settings, read_settings

_LOG = logging.getLogger("orchard")


def record(
    plan: Plan,
    cluster_id: str,
    step_ids: Mapping[str, str | None],
    counts: Mapping[str, int],
    marks: Mapping[str, float | None],
) -> str:
    """Write the run's row of `runs` and its report; return the report's address."""
    settings = read_settings()
    s3 = aws.client("s3", plan.region)
    catalog = aws.catalog(plan.lake, plan.database, plan.region)
    address = f"{plan.lake}/reports/{plan.run_id}.html"
    row = run_row(settings, plan, aws.client("emr", plan.region), s3, cluster_id, step_ids, Marks(**marks)) | {
        "embedded": counts["embedded"],
        "rejected": counts["rejected"],
        "report": address,
    }
    replace_run(catalog, plan.database, row)
    page = render(
        gather(
            catalog,
            plan.database,
            row,
            lambda path: aws.read_object(s3, path),
            root=plan.lake,
            pretend=settings.console is not None,
            run_url=run_url(plan.dag_id, plan.dag_run_id),
        )
    )
    aws.write_object(s3, address, page.encode(), "text/html; charset=utf-8")
    _LOG.info("The report is at %s.", address)
    return address


def run_row(
    settings: Settings,
    plan: Plan,
    client: Any,
    s3: Any,
    cluster_id: str,
    step_ids: Mapping[str, str | None],
    marks: Marks,
) -> dict[str, Any]:
    """Put together what is known of a run: from its plan, its cluster's timeline and what its steps left."""
    did = {
        step: json.loads(aws.read_object(s3, f"{plan.lake}/steps/{plan.run_id}/{step}.json")) if step_id else {}
        for step, step_id in step_ids.items()
    }
    cluster, steps = emr.describe(client, cluster_id), list(emr.steps(client, cluster_id))
    now = datetime.now(UTC)
    life = Life.of(cluster, steps, marks, now)
    maintained = [life.steps[step["Id"]] for step in steps if step["Name"].startswith("maintain ")]
    return {
        "run_id": plan.run_id,
        "extractor_id": plan.extractor_id,
        "started_at": cluster["Status"]["Timeline"]["CreationDateTime"].astimezone(UTC),
        "ended_at": now,
        "added": plan.added,
        "changed": plan.changed,
        "deleted": plan.deleted,
        "find_seconds": plan.find_seconds,
        # None of a step that ran on another cluster: one task of a run that was done may be cleared alone.
        "extract_seconds": life.steps.get(step_ids["extract"] or ""),
        "reduce_seconds": life.steps.get(step_ids["reduce"] or ""),
        "maintain_seconds": sum(maintained) if maintained else None,
        "cluster": cluster_id,
        "cost_dollars": account.cost(settings, plan, client, cluster, now),
        "basis_id": did["reduce"].get("basis_id"),
        "why": did["reduce"].get("why"),
        "captured_of_best": did["reduce"].get("captured_of_best"),
        "captured": did["reduce"].get("captured"),
        "accuracy": did["reduce"].get("accuracy"),
        "options": request_json(plan.step_options),
        "listed": plan.listed,
        "left": plan.left,
        "embed_seconds": did["extract"].get("seconds"),
        "instance_type": plan.instance_type,
        "core_nodes": plan.core_nodes,
        "vcpus": plan.vcpus,
        "cluster_seconds": life.total,
        "start_seconds": life.start,
        "bootstrap_seconds": life.bootstrap,
        "wait_seconds": life.wait,
        "end_seconds": life.end,
        "planned_seconds": plan.seconds,
        "planned_dollars": plan.dollars,
        "relabelled": plan.relabelled,
        "label_rule": plan.label_rule,
    }
