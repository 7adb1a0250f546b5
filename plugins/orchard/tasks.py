"""Tasks: what the DAG's plain tasks do, each a function of a run."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from orchard import aws, emr, jobs, ledger, sums
from orchard.discovery import MassDeletionError, find
from orchard.form import Wishes
from orchard.lake import open_catalog, replace_run
from orchard.plan import Plan, reason, request_json, safe_run_id, step_options
from orchard.prices import dollars
from orchard.settings import Settings, read_settings
from orchard.sizing import size

_LOG = logging.getLogger("orchard")


# A run that one of these stops fails at once: another try would find the same.
class MissingArtefactError(AirflowFailException):
    """The extractor's artefact is not on the lake's shelf."""


class LostPhotosError(AirflowFailException):
    """The sums of a run do not match: a photo is neither embedded nor rejected, or twice."""


class TooManyRejectsError(AirflowFailException):
    """A run rejected a larger share of its photos than the settings allow."""


def make_plan(dag_id: str, dag_run_id: str, params: Mapping[str, Any]) -> Plan:
    """Find the run's photos, and decide about its cluster.

    Raises
    ------
    AirflowFailException
        The settings or the Params make no sense, the artefact is missing (`MissingArtefactError`), or too many photos
        are gone (`MassDeletionError`): the run stops before anything is rented.
    """
    try:
        settings, wishes = read_settings(), Wishes.read(params)
        # What a run wishes is held to the rules of the settings.
        prefixes, extractor_id = wishes.prefixes or settings.prefixes, wishes.extractor or settings.extractor
        settings = replace(settings, prefixes=prefixes, extractor=extractor_id)
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    s3 = aws.client("s3", settings.region)
    for address in (settings.root, *settings.prefixes):
        if not aws.bucket_exists(s3, address):
            raise AirflowFailException(
                f"{address}: there is no such bucket. Expected one that exists, in your account."
            )
    _check_artefact(s3, settings.root, extractor_id)
    catalog = open_catalog(settings.root, settings.database, aws.catalog_properties(settings.region))
    run_id = safe_run_id(dag_run_id)
    started = time.monotonic()
    try:
        found = find(
            catalog,
            settings.database,
            run_id,
            extractor_id,
            settings.prefixes,
            mass_deletion_meant=wishes.mass_deletion_meant,
            limit=wishes.limit,
            s3=s3,
            write=not wishes.plan_only,
        )
    except MassDeletionError as error:
        raise AirflowFailException(str(error)) from error
    find_seconds = time.monotonic() - started
    if not found.listed:
        _LOG.warning("No photo at all is under %s: is that where they are?", ", ".join(settings.prefixes))
    options = step_options(settings, wishes)
    why = reason(
        found.added + found.changed + found.deleted,
        ledger.behind(catalog, settings.database, extractor_id),
        wishes,
        options,
        ledger.newest(catalog, settings.database, extractor_id),
    )
    rented = size(settings, found.photos, ledger.rates(catalog, settings.database, extractor_id), wishes.core_nodes)
    return Plan(
        dag_id=dag_id,
        dag_run_id=dag_run_id,
        run_id=run_id,
        region=settings.region,
        lake=settings.root,
        database=settings.database,
        extractor_id=extractor_id,
        engine=settings.engine,
        listed=found.listed,
        added=found.added,
        changed=found.changed,
        deleted=found.deleted,
        left=found.left,
        find_seconds=find_seconds,
        step_options=options,
        instance_type=rented.instance_type,
        core_nodes=rented.core_nodes,
        vcpus=rented.vcpus,
        rate=rented.rate,
        seconds=rented.seconds,
        dollars=rented.dollars,
        keep_cluster=wishes.keep_cluster,
        plan_only=wishes.plan_only,
        why=why,
    )


def _check_artefact(s3: Any, root: str, extractor_id: str) -> None:
    address = f"{root}/extractors/{extractor_id}.zip"
    if not aws.exists(s3, address):
        raise MissingArtefactError(
            f"The artefact of extractor {extractor_id} is not at {address}. Make it and put it there:\n"
            "  python -m spark_jobs.export_extractor mobilenet_v2 --out extractors/\n"
            f"  aws s3 cp extractors/{extractor_id}.zip {address}\n"
            "If the export gives another extractor_id, name that one in the settings."
        )


def stage_code(plan: Plan) -> dict[str, str]:
    """Put the jobs' code into the bucket; return the addresses."""
    addresses = jobs.stage(aws.client("s3", plan.region), plan.lake, read_settings().jobs)
    _LOG.info("The jobs' code is at %s.", addresses["package"])
    return addresses


def check(plan: Plan) -> dict[str, int]:
    """Compare what was asked with what the tables hold.

    Raises
    ------
    LostPhotosError, TooManyRejectsError
        With the numbers, and examples.
    """
    settings = read_settings()
    catalog = open_catalog(plan.lake, plan.database, aws.catalog_properties(plan.region))
    found = sums.sums(catalog, plan.database, plan.run_id, plan.extractor_id)
    _LOG.info("%s", found)
    if not found.match:
        raise LostPhotosError(
            f"Run {plan.run_id} was to do {found.asked:,} photos: {found.embedded:,} are embedded, "
            f"{found.rejected:,} rejected, {found.superseded:,} taken up by a later run; {found.lost:,} are lost, "
            f"{found.twice:,} there twice, {found.kept:,} still there though deleted: {', '.join(found.examples)}. "
            "Clear the run's tasks to do it again, and tell Orchard's developers."
        )
    share = found.rejected / found.asked if found.asked else 0.0
    if share > settings.max_reject_share:
        raise TooManyRejectsError(
            f"Run {plan.run_id} rejected {found.rejected:,} of {found.asked:,} photos ({share:.1%}), more than "
            f"{settings.max_reject_share:.1%} (setting max_reject_share). The table rejects holds the reasons:\n"
            + "\n".join(f"  {uri}: {why}" for uri, why in sums.rejects(catalog, plan.database, plan.run_id, 10))
        )
    return {"asked": found.asked, "embedded": found.embedded, "rejected": found.rejected}


def record(plan: Plan, cluster_id: str, step_ids: Mapping[str, str | None], counts: Mapping[str, int]) -> str:
    """Write the run's row of `runs` and its report; return the report's address."""
    from orchard.report import gather, render

    settings = read_settings()
    s3 = aws.client("s3", plan.region)
    catalog = open_catalog(plan.lake, plan.database, aws.catalog_properties(plan.region))
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
    import json

    did: dict[str, dict[str, Any]] = {}
    took: dict[str, float | None] = {}
    for step, step_id in step_ids.items():
        if step_id is None:
            did[step], took[step] = {}, None
            continue
        did[step] = json.loads(aws.read_object(s3, f"{plan.lake}/steps/{plan.run_id}/{step}.json"))
        status = client.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]
        took[step] = emr.seconds(status, "StartDateTime", "EndDateTime")
    timeline = emr.describe(client, cluster_id)["Status"]["Timeline"]
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
        "cost_dollars": dollars(settings.region, plan.instance_type, plan.core_nodes + 1, alive),
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
    }
