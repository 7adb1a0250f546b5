"""Lease: a DAG run's turn at the lake, taken before it looks for photos, and given back after all else.

Triggers renew it while the run waits, and discovery while it lists; what else a run does is shorter than its term.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import BaseSensorOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from orchard import aws
from orchard.dag.links import airflow_url
from orchard.lake.lease import TERM, Lease
from orchard.plan import Plan
from orchard.settings import read_settings

_LOG = logging.getLogger("orchard")


def holder(dag_id: str, run_id: str) -> str:
    """Name a run for whoever waits for it: by its page, since another Airflow may have a run of the same id."""
    return airflow_url(f"/dags/{dag_id}/runs/{quote(run_id)}")


def lease(root: str, region: str, holder: str) -> Lease:
    """Return a run's lease of a lake, taken or not."""
    return Lease(root, holder, aws.client("s3", region))


def give_back(root: str | None, dag_run: Any) -> None:
    """Give the run's lease back, where it took one."""
    if root is None:
        _LOG.info("This run only looked: it had not taken the lake.")
    elif lease(root, read_settings().region, holder(dag_run.dag_id, dag_run.run_id)).give_back():
        _LOG.info("The lake %s is given back.", root)
    else:
        _LOG.warning("The lake %s was not this run's any more: somebody broke its lease, or it had ended.", root)


class TakeLakeSensor(BaseSensorOperator):
    """Wait, deferred, until no other run works on the lake, and take it for this one; return the lake.

    A run that only looks neither waits nor takes. One that has waited for `timeout` is skipped, and all that follows.
    """

    def execute(self, context: Any) -> str | None:
        return self._take(context, time.time() + self.timeout)

    def execute_complete(self, context: Any, event: Mapping[str, Any]) -> str | None:
        """Try again when the trigger saw that the lake is free, or the time is over."""
        return self._take(context, event["until"])

    def _take(self, context: Any, until: float) -> str | None:
        if context["params"].get("plan_only"):
            self.log.info("This run only looks: it does not wait for others.")
            return None
        try:
            settings = read_settings()
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        from orchard.dag.tasks import check_bucket  # reads the lake, with libraries that parsing need not load

        run = context["dag_run"]
        mine = lease(settings.root, settings.region, holder(run.dag_id, run.run_id))
        check_bucket(mine.s3, settings.root)
        try:
            other = mine.take()
        except PermissionError as error:
            raise AirflowFailException(str(error)) from error
        if other is None:
            self.log.info("The lake %s is this run's.", settings.root)
            return settings.root
        self.log.info("Another run works on the lake %s: %s.", settings.root, other)
        if time.time() >= until:
            raise AirflowSkipException(
                f"Another run worked on the lake {settings.root} for all of {self.timeout / 3600:g} hours: this one "
                "ends here, and has done nothing. What it would have found, the next run finds."
            )
        trigger = LakeTrigger(settings.root, mine.holder, settings.region, settings.poll_seconds, until)
        self.defer(trigger=trigger, method_name="execute_complete")


class LakeTrigger(BaseTrigger):
    """Wait until no other run has a lake, or the time is over, or S3 does not answer: the task looks for itself.

    Parameters
    ----------
    until : float
        In seconds since 1970; handed on.
    """

    def __init__(self, root: str, holder: str, region: str, poll_seconds: float, until: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.root = root
        self.holder = holder
        self.region = region
        self.poll_seconds = poll_seconds
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "orchard.dag.lease.LakeTrigger", {
            "root": self.root,
            "holder": self.holder,
            "region": self.region,
            "poll_seconds": self.poll_seconds,
            "until": self.until,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        shown = None
        try:
            mine = await sync_to_async(lease)(self.root, self.region, self.holder)
            while time.time() < self.until:
                await asyncio.sleep(self.poll_seconds)
                other = await sync_to_async(mine.other)()
                if other is None:
                    break
                if other.holder != shown:
                    shown = other.holder
                    self.log.info("Waiting for %s.", other)
        except (BotoCoreError, ClientError, PermissionError) as error:
            self.log.warning("%s", error)
        yield TriggerEvent({"until": self.until})  # type: ignore[no-untyped-call]


class Renewal:
    """A run's lease, renewed by a trigger that waits for something else."""

    def __init__(self, names: Sequence[str], region: str) -> None:
        root, holder = names  # as `of` gives them
        self._names = root, region, holder
        self._lease: Lease | None = None
        self._due = time.monotonic()

    async def renew(self, log: Any) -> None:
        """Renew it where that is due; what goes wrong is told, and stops nothing."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + TERM / 4
        try:
            self._lease = self._lease or await sync_to_async(lease)(*self._names)
            if not await sync_to_async(self._lease.renew)():
                log.warning("The lake %s is not this run's any more: another may work on it, too.", self._lease.root)
        except (BotoCoreError, ClientError, PermissionError) as error:
            log.warning("The lease of the lake could not be renewed: %s", error)


def of(plan: Plan) -> list[str]:
    """Return what a trigger is told of a run's lease: the lake, and who has it."""
    return [plan.lake, holder(plan.dag_id, plan.dag_run_id)]
