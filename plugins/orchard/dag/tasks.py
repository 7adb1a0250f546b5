"""Tasks: what the DAG's plain tasks do, each a function of a run."""

import logging
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.exceptions import ClientError

from orchard import aws
from orchard.cluster import jobs
from orchard.cluster.request import job_flow
from orchard.cluster.sizing import size
from orchard.dag.lease import holder
from orchard.form import Wishes
from orchard.lake import ledger, sums
from orchard.lake.lease import Lease
from orchard.photos.discovery import find
from orchard.photos.hierarchy import Hierarchy
from orchard.photos.label import LabelRule
from orchard.photos.losses import MassDeletionError
from orchard.photos.source import Source
from orchard.plan import Plan, reason, safe_run_id, step_options
from orchard.prices.requests import request_dollars
from orchard.settings import read_settings

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
        settings = settings.but(prefixes=prefixes, extractor=extractor_id)
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    s3 = aws.client("s3", settings.region)
    hierarchy = Hierarchy.parse(settings.hierarchy)
    for address in (settings.root, *settings.prefixes, *filter(None, [hierarchy.file])):
        check_bucket(s3, address)
    _check_artefact(s3, settings.root, extractor_id)
    catalog = aws.catalog(settings.root, settings.database, settings.region)
    run_id = safe_run_id(dag_run_id)
    started = time.monotonic()
    turn = nullcontext() if wishes.plan_only else Lease(settings.root, holder(dag_id, dag_run_id), s3).renewed()
    try:
        with turn:
            found = find(
                catalog,
                settings.database,
                run_id,
                extractor_id,
                settings.prefixes,
                rule=LabelRule.parse(settings.label),
                mass_deletion_meant=wishes.mass_deletion_meant,
                limit=wishes.limit,
                leave_out=settings.leave_out,
                taken_out=wishes.take_out,
                hierarchy=hierarchy,
                source=Source(settings.source, settings.full_listing_days, aws.table_bucket),
                s3=s3,
                write=not wishes.plan_only,
            )
    except (MassDeletionError, ValueError) as error:
        raise AirflowFailException(str(error)) from error
    find_seconds = time.monotonic() - started
    for note in found.notes:
        _LOG.warning("%s", note)
    options = step_options(settings, wishes)
    why = reason(
        found.added + found.changed + found.deleted,
        found.relabelled,
        ledger.behind(catalog, settings.database, extractor_id),
        wishes,
        options,
        ledger.newest(catalog, settings.database, extractor_id),
    )
    rented = size(settings, found.photos, ledger.rates(catalog, settings.database, extractor_id), wishes.core_nodes)
    plan = Plan(
        dag_id=dag_id,
        dag_run_id=dag_run_id,
        run_id=run_id,
        region=settings.region,
        lake=settings.root,
        database=settings.database,
        extractor_id=extractor_id,
        engine=settings.engine,
        listed=found.listed,
        left_out=found.left_out,
        notes=found.notes,
        added=found.added,
        changed=found.changed,
        deleted=found.deleted,
        left=found.left,
        find_seconds=find_seconds,
        step_options=options,
        instance_type=rented.instance_type,
        instance_types=settings.types,
        spot=settings.spot,
        core_nodes=rented.core_nodes,
        vcpus=rented.vcpus,
        rate=rented.rate,
        seconds=rented.seconds,
        dollars=rented.dollars,
        keep_cluster=wishes.keep_cluster,
        plan_only=wishes.plan_only,
        why=why,
        maintain=wishes.maintain or ledger.maintenance_due(catalog, settings.database, settings.maintain_days),
        keep_days=settings.keep_days,
        relabelled=found.relabelled,
        unlabelled=found.unlabelled,
        examples=found.examples,
        label_rule=found.rule,
        requests=found.requests,
        source=found.source,
        request_dollars=request_dollars(settings.region, found.requests),
    )
    try:
        job_flow(settings, plan)  # only to be told now, and not when the cluster is to be rented
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    return plan


def check_bucket(s3: Any, address: str) -> None:
    """Fail, and at once, where the bucket of an address is not there or not ours."""
    try:
        there = aws.bucket_exists(s3, address)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("403", "AccessDenied", "Forbidden"):
            raise
        raise AirflowFailException(
            f"{address}: access is denied. The bucket is another account's, or Airflow's role or user lacks the policy "
            "of Orchard's stack: python -m orchard doctor, run where Airflow runs, says which."
        ) from error
    if not there:
        raise AirflowFailException(f"{address}: there is no such bucket. Expected one that exists, in your account.")


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
    addresses = jobs.stage(aws.client("s3", plan.region), plan.lake, jobs.folder())
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
    catalog = aws.catalog(plan.lake, plan.database, plan.region)
    found = sums.sums(catalog, plan.database, plan.run_id, plan.extractor_id)
    _LOG.info("%s", found)
    if not found.match:
        raise LostPhotosError(
            f"Run {plan.run_id} was to do {found.asked:,} photos: {found.embedded:,} are embedded, "
            f"{found.rejected:,} rejected, {found.relabelled:,} relabelled, {found.superseded:,} taken up by a later "
            f"run; {found.lost:,} are lost, {found.twice:,} there twice, {found.kept:,} still there though deleted: "
            f"{', '.join(found.examples)}. "
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
