"""Triggers: waiting for a step, or for a cluster, without occupying a worker."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.execution_time.xcom import XCom
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from orchard.aws import hook
from orchard.cluster.emr import DONE, FAILED, gone
from orchard.dag.lease import Renewal

TRY = "waits"  # XCom of a task that waits for a step: in which try
_THROTTLED = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "InternalServerException", "InternalFailure")
_PATIENCE = 40  # looks in a row that got no answer
# That Airflow has to tell what became of a task: a triggerer that is shut down may not, and of one that is not, the
# first question takes long on a busy machine.
_ANSWER_SECONDS, _KILL_SECONDS = 10.0, 60.0
_KILLING: set["asyncio.Task[None]"] = set()  # or Python might forget them
_UNKNOWN = "in a state that Airflow does not tell"


class _Wait(BaseTrigger):
    """Look at a cluster again and again until what is waited for has happened; EMR may fail to answer for a while.

    Parameters
    ----------
    lease : list of str, optional
        The lake, and who has it: renewed meanwhile. None in what an older version of Orchard deferred.
    """

    def __init__(self, cluster_id: str, region: str, poll_seconds: float, lease: list[str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lease = lease
        self.cluster_id = cluster_id
        self.region = region
        self.poll_seconds = poll_seconds

    @abstractmethod
    async def _look(self, emr: Any) -> tuple[str, dict[str, Any] | None]:
        """Return what is seen, and once the wait is over what the task is told."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        unanswered, shown = 0, None
        renewal = Renewal(self.lease, self.region) if self.lease else None
        async with await hook("emr", self.region).get_async_conn() as emr:
            while True:
                # Before the first look, too: Airflow takes a task that goes on before its scheduler has heard that it
                # was deferred for one that died, and tries again.
                await asyncio.sleep(self.poll_seconds)
                if renewal:
                    await renewal.renew(self.log)
                try:
                    seen, event = await self._look(emr)
                except (ClientError, BotoCoreError) as error:
                    unanswered += 1
                    if not _passes(error) or unanswered > _PATIENCE:
                        raise
                    self.log.warning("EMR did not answer (%s): looking again in %g s.", error, self.poll_seconds)
                else:
                    unanswered = 0
                    if seen != shown:
                        shown = seen
                        self.log.info("%s", seen)
                    if event is not None:
                        yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                        return


class ClusterTrigger(_Wait):
    """Wait until a cluster is in one of some states, or the time is over.

    The provider's sensors, deferred, wait for the end of a cluster whatever states they were told.

    Parameters
    ----------
    until : float
        In seconds since 1970, so that it holds when another triggerer takes over.
    """

    def __init__(
        self,
        cluster_id: str,
        region: str,
        poll_seconds: float,
        states: Sequence[str],
        until: float,
        lease: list[str] | None = None,
    ) -> None:
        super().__init__(cluster_id, region, poll_seconds, lease)
        self.states = list(states)
        self.until = until
        self._before: str | None = None
        self._bootstrapping: float | None = None  # since when: no timeline of EMR tells

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "orchard.dag.triggers.ClusterTrigger", {
            "cluster_id": self.cluster_id,
            "region": self.region,
            "poll_seconds": self.poll_seconds,
            "states": self.states,
            "until": self.until,
            "lease": self.lease,
        }

    async def _look(self, emr: Any) -> tuple[str, dict[str, Any] | None]:
        state = (await emr.describe_cluster(ClusterId=self.cluster_id))["Cluster"]["Status"]["State"]
        if (self._before, state) == ("STARTING", "BOOTSTRAPPING"):
            self._bootstrapping = time.time()
        self._before = state
        over = state in self.states or time.time() >= self.until
        return f"Cluster {self.cluster_id} is {state}.", {"bootstrapping": self._bootstrapping} if over else None


class StepTrigger(_Wait):
    """Wait until a step has ended, or its cluster is gone; there is no limit to it.

    The provider's waiter knows a number of attempts, and takes a cluster that ended meanwhile for a step that goes on.

    Parameters
    ----------
    found : bool
        Whether an earlier try of the task had added the step; handed on.
    """

    def __init__(
        self,
        cluster_id: str,
        step_id: str,
        region: str,
        poll_seconds: float,
        found: bool = False,
        lease: list[str] | None = None,
    ) -> None:
        super().__init__(cluster_id, region, poll_seconds, lease)
        self.step_id = step_id
        self.found = found

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "orchard.dag.triggers.StepTrigger", {
            "cluster_id": self.cluster_id,
            "step_id": self.step_id,
            "region": self.region,
            "poll_seconds": self.poll_seconds,
            "found": self.found,
            "lease": self.lease,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            async for event in super().run():
                yield event
        except asyncio.CancelledError as broken_off:
            # Before Airflow 3.3 nobody calls on_kill. Since, it does where the message says that a person wants it; but
            # threads that are waited for (asgiref's) lose that message, and the client is opened in one.
            told = hasattr(BaseTrigger, "on_kill") and broken_off.args
            if not told and await self._given_up(_ANSWER_SECONDS):
                await self._cancel()
            raise

    async def _look(self, emr: Any) -> tuple[str, dict[str, Any] | None]:
        # The cluster first: if it goes between the two looks, the step's state is its last.
        cluster = (await emr.describe_cluster(ClusterId=self.cluster_id))["Cluster"]
        step = (await emr.describe_step(ClusterId=self.cluster_id, StepId=self.step_id))["Step"]
        state, of_cluster = step["Status"]["State"], cluster["Status"]["State"]
        over = gone(cluster) is not None or state in DONE or state in FAILED[1:]
        event = {"state": state, "step_id": self.step_id, "found": self.found}
        return f"Step {self.step_id} is {state}, its cluster {of_cluster}.", event if over else None

    async def on_kill(self) -> None:
        """Cancel the step where a person marked its task as failed, or cleared it.

        Airflow says so, too, of a task that goes on elsewhere: where another triggerer has taken over from one that was
        only silent for a while, and where `airflow dags test` waits by itself.
        """
        # Airflow breaks this off, too: it cancels what is to be cancelled each second, until it has ended.
        work = asyncio.create_task(self._kill())
        _KILLING.add(work)
        work.add_done_callback(_KILLING.discard)
        await asyncio.shield(work)

    async def _kill(self) -> None:
        if await self._given_up(_KILL_SECONDS):
            await self._cancel()

    async def _cancel(self) -> None:
        async with await hook("emr", self.region).get_async_conn() as emr:
            answer = await emr.cancel_steps(
                ClusterId=self.cluster_id, StepIds=[self.step_id], StepCancellationOption="TERMINATE_PROCESS"
            )
        self.log.info("Step %s is cancelled: %s", self.step_id, answer["CancelStepsInfoList"])

    async def _given_up(self, seconds: float) -> bool:
        """Whether the task waits for the step no more, as a person marked or cleared it."""
        state: str | None = _UNKNOWN
        with suppress(TimeoutError):
            state = await asyncio.wait_for(self._state(), seconds)
        if state in ("deferred", _UNKNOWN):
            self.log.warning("The wait is broken off; step %s is let go on, as its task is %s.", self.step_id, state)
            return False
        return True

    async def _state(self) -> str | None:
        """Ask Airflow for the task's state. One that was cleared is queued only until a worker takes it."""
        if self.task_instance is None:  # in `airflow dags test` itself
            return _UNKNOWN
        # A task of `airflow dags test` is queued for as long as it waits.
        while (state := await sync_to_async(_asked)(self.task_instance)) == "queued":
            await asyncio.sleep(min(self.poll_seconds, 1.0))
        return state


def _asked(task: Any) -> str | None:
    """Ask Airflow for a task's state; None, too, where another try of it waits already."""
    of_task = {"dag_id": task.dag_id, "run_id": task.run_id, "task_id": task.task_id, "map_index": task.map_index}
    states = RuntimeTaskInstance.get_task_states(
        dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
    )
    state: str | None = states.get(task.run_id, {}).get(task.task_id)
    if state == "deferred" and XCom.get_one(key=TRY, **of_task) not in (None, task.try_number):
        return None
    return state


def _passes(error: Exception) -> bool:
    """Whether an error is one that passes by itself: throttling, or no connection."""
    return isinstance(error, BotoCoreError) or (
        isinstance(error, ClientError) and error.response["Error"]["Code"] in _THROTTLED
    )
