"""Record: what is kept of a run when its steps are done, its row of `runs` and its page."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchard import aws
from orchard.cluster import account, emr
from orchard.lake.tables import replace_run
from orchard.plan import Plan, request_json
from orchard.report.page import gather, render
from orchard.settings import Settings, read_settings

_LOG = logging.getLogger("orchard")


def record(plan: Plan, cluster_id: str, step_ids: Mapping[str, str | None], counts: Mapping[str, int]) -> str:
    """Write the run's row of `runs` and its report; return the report's address."""
    settings = read_settings()
    s3 = aws.client("s3", plan.region)
    catalog = aws.catalog(plan.lake, plan.database, plan.region)
    address = f"{plan.lake}/reports/{plan.run_id}.html"
    row = run_row(settings, plan, aws.client("emr", plan.region), s3, cluster_id, step_ids) | {
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
        )
    )
    aws.write_object(s3, address, page.encode(), "text/html; charset=utf-8")
    _LOG.info("The report is at %s.", address)
    return address


def run_row(
    settings: Settings, plan: Plan, client: Any, s3: Any, cluster_id: str, step_ids: Mapping[str, str | None]
) -> dict[str, Any]:
    """Put together what is known of a run: from its plan, its cluster's timeline and what its steps left."""
    did: dict[str, dict[str, Any]] = {}
    took: dict[str, float | None] = {}
    for step, step_id in step_ids.items():
        if step_id is None:
            did[step], took[step] = {}, None
            continue
        did[step] = json.loads(aws.read_object(s3, f"{plan.lake}/steps/{plan.run_id}/{step}.json"))
        status = client.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]
        took[step] = emr.seconds(status, "StartDateTime", "EndDateTime")
    cluster = emr.describe(client, cluster_id)
    timeline = cluster["Status"]["Timeline"]
    now = datetime.now(UTC)
    alive = (timeline.get("EndDateTime", now) - timeline["CreationDateTime"]).total_seconds()
    return {
        "run_id": plan.run_id,
        "extractor_id": plan.extractor_id,
        "started_at": timeline["CreationDateTime"].astimezone(UTC),
        "ended_at": now,
        "added": plan.added,
        "changed": plan.changed,
        "deleted": plan.deleted,
        "find_seconds": plan.find_seconds,
        "extract_seconds": took["extract"],
        "reduce_seconds": took["reduce"],
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
        "cluster_seconds": alive,
        "planned_seconds": plan.seconds,
        "planned_dollars": plan.dollars,
        "relabelled": plan.relabelled,
        "label_rule": plan.label_rule,
    }
