"""Record: what is kept of a run when its steps are done, its row of `runs` and its page.

The row comes first. A page that cannot be made does not make a run fail whose tables are right: it is told in the row,
and the next run makes it again.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.expressions import StartsWith

from orchard import aws
from orchard.cluster import account, emr
from orchard.cluster.life import Life, Marks
from orchard.dag.links import run_url
from orchard.lake import accuracy
from orchard.lake.rows import rows
from orchard.lake.tables import replace_run
from orchard.plan import Plan, request_json
from orchard.report.page import gather, render
from orchard.settings import Settings, read_settings

_LOG = logging.getLogger("orchard")
_REPORT, _COST = "report", "cost"
_LONGEST = 300  # of what an error says
_EARLIER = 10  # reports that are tried again


def record(
    plan: Plan,
    cluster_id: str,
    step_ids: Mapping[str, str | None],
    counts: Mapping[str, int],
    marks: Mapping[str, float | None],
) -> str | None:
    """Write the run's row of `runs` and its report; return the report's address, None where it could not be made."""
    settings = read_settings()
    s3 = aws.client("s3", plan.region)
    catalog = aws.catalog(plan.lake, plan.database, plan.region)
    row = run_row(settings, plan, aws.client("emr", plan.region), s3, cluster_id, step_ids, Marks(**marks)) | {
        "embedded": counts["embedded"],
        "rejected": counts["rejected"],
    }
    replace_run(catalog, plan.database, row)
    return publish(
        catalog,
        plan.database,
        s3,
        row,
        root=plan.lake,
        pretend=settings.console is not None,
        run_url=run_url(plan.dag_id, plan.dag_run_id),
    )


def publish(
    catalog: Catalog,
    database: str,
    s3: Any,
    row: Mapping[str, Any],
    *,
    root: str,
    pretend: bool = False,
    run_url: str | None = None,
) -> str | None:
    """Write the report of a run, and those that earlier runs could not; return the run's report's address."""
    waiting = rows(catalog, database, "runs", StartsWith("unmade", f"{_REPORT}:"))
    earlier = sorted((one for one in waiting if one["run_id"] != row["run_id"]), key=lambda one: one["ended_at"])
    for one in [*earlier[-_EARLIER:], row]:
        address: str | None = f"{root}/reports/{one['run_id']}.html"
        unmade = [line for line in (one["unmade"] or "").splitlines() if not line.startswith(f"{_REPORT}:")]
        told = {**one, "report": address, "unmade": "\n".join(unmade) or None}
        try:
            page = render(
                gather(
                    catalog,
                    database,
                    told,
                    lambda path: aws.read_object(s3, path),
                    root=root,
                    pretend=pretend,
                    run_url=run_url if one is row else None,
                )
            )
            aws.write_object(s3, f"{address}", page.encode(), "text/html; charset=utf-8")
            _LOG.info("The report is at %s.", address)
        except Exception as error:  # of any library that takes part
            _LOG.exception("The report of run %s could not be made; the next run makes it again.", one["run_id"])
            address = None
            told |= {"report": None, "unmade": "\n".join([_why(_REPORT, error), *unmade])}
        replace_run(catalog, database, told)
    return address


def _why(what: str, error: Exception) -> str:
    return f"{what}: {' '.join(f'{type(error).__name__}: {error}'.split())[:_LONGEST]}"


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
    unmade = [*did["reduce"].get("unmade", ())]
    dollars: float | None = None
    try:
        dollars = account.cost(settings, plan, client, cluster, now)
    except Exception as error:  # of boto3, or of the list of prices: no run fails for its bill
        _LOG.exception("What cluster %s has cost could not be found out.", cluster_id)
        unmade.append(_why(_COST, error))
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
        "cost_dollars": dollars,
        "basis_id": did["reduce"].get("basis_id"),
        "why": did["reduce"].get("why"),
        "captured_of_best": did["reduce"].get("captured_of_best"),
        "captured": did["reduce"].get("captured"),
        **accuracy.columns(did["reduce"]),
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
        "left_out": sum(plan.left_out.values()),
        "left_out_kinds": json.dumps(plan.left_out),
        "notes": json.dumps(plan.notes),
        "unmade": "\n".join(unmade) or None,
    }
