"""Waiting for a step or a cluster: how that ends, and what becomes of the step when the wait is broken off."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger
from asgiref.sync import sync_to_async

from orchard.dag import triggers
from orchard.dag.triggers import ClusterTrigger, StepTrigger

TASK = {"dag_id": "orchard_daily", "task_id": "extract", "run_id": "r1", "map_index": -1, "try_number": 1}


class Emr:
    """An asynchronous client of EMR, whose step, or cluster, has the states that it was told, the last one for ever."""

    def __init__(self, *states: str, of: str = "step") -> None:
        self.states = list(states)
        self.of = of
        self.looked = asyncio.Event()
        self.cancelled: list[Any] = []

    async def describe_cluster(self, **_: Any) -> Any:
        return {"Cluster": {"Id": "j-1", "Status": {"State": self._state("cluster", "RUNNING")}}}

    async def describe_step(self, **_: Any) -> Any:
        self.looked.set()
        return {"Step": {"Status": {"State": self._state("step", "RUNNING")}}}

    def _state(self, of: str, other: str) -> str:
        if of != self.of:
            return other
        return self.states.pop(0) if self.states[1:] else self.states[0]

    async def cancel_steps(self, **given: Any) -> Any:
        self.cancelled.append(given)
        return {"CancelStepsInfoList": []}

    @asynccontextmanager
    async def _connection(self) -> Any:
        yield self

    async def get_async_conn(self) -> Any:
        return self._connection()


def trigger(monkeypatch: pytest.MonkeyPatch, emr: Emr) -> StepTrigger:
    monkeypatch.setattr(triggers, "hook", lambda service, region: emr)
    # The triggerer sets it, and of some versions of Airflow it must be a whole task instance.
    task = property(lambda _: SimpleNamespace(**TASK), lambda *_: None)
    monkeypatch.setattr(StepTrigger, "task_instance", task, raising=False)
    monkeypatch.setattr(triggers.XCom, "get_one", lambda **_: 1)
    return StepTrigger("j-1", "s-1", "eu-west-1", 0.001)


class SlowEmr(Emr):
    """One that takes its time until it is connected, in a thread, as the provider's hook does."""

    async def get_async_conn(self) -> Any:
        self.looked.set()
        await sync_to_async(time.sleep)(0.2)
        return self._connection()


async def broken_off(waiting: StepTrigger, emr: Emr, *message: str) -> None:
    """Wait, and be cancelled after the first look, as a triggerer does it."""

    async def wait() -> None:
        async for event in waiting.run():
            raise AssertionError(event)

    task = asyncio.create_task(wait())
    await emr.looked.wait()
    task.cancel(*message)
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


def test_the_end_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait() -> list[Any]:
        return [event.payload async for event in trigger(monkeypatch, Emr("PENDING", "RUNNING", "FAILED")).run()]

    # All that the task needs: `airflow dags test` hands over nothing else.
    assert asyncio.run(wait()) == [{"state": "FAILED", "step_id": "s-1", "found": False}]


@pytest.mark.parametrize(
    ("states", "seen"),
    [
        (("STARTING", "STARTING", "BOOTSTRAPPING", "BOOTSTRAPPING", "WAITING"), True),
        (("STARTING", "WAITING"), False),  # it was too quick
        (("BOOTSTRAPPING", "WAITING"), False),  # nobody knows for how long already
        (("STARTING", "BOOTSTRAPPING", "TERMINATING"), True),
    ],
)
def test_a_cluster_comes(states: tuple[str, ...], seen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or goes. When it began to bootstrap is known where it was seen to."""
    began = time.time()
    event = asyncio.run(waited(monkeypatch, states, began + 60))
    assert (event["bootstrapping"] is not None) == seen
    assert not seen or began <= event["bootstrapping"] <= time.time()


def test_a_cluster_that_does_not_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(waited(monkeypatch, ("STARTING",), time.time() + 0.05)) == {"bootstrapping": None}


async def waited(monkeypatch: pytest.MonkeyPatch, states: tuple[str, ...], until: float) -> Any:
    emr = Emr(*states, of="cluster")
    monkeypatch.setattr(triggers, "hook", lambda service, region: emr)
    waiting = ClusterTrigger("j-1", "eu-west-1", 0.001, ["RUNNING", "WAITING", "TERMINATING"], until)
    (event,) = [event.payload async for event in waiting.run()]
    assert len(emr.states) == 1  # it looked no longer than it had to, and not less
    return event


@pytest.mark.parametrize(("state", "cancelled"), [("failed", 1), (None, 1), ("success", 1), ("deferred", 0)])
def test_before_airflow_3_3_the_tasks_state_tells_why_the_wait_was_broken_off(
    state: str | None, cancelled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A triggerer that is shut down leaves its tasks deferred, and their steps are let go on."""

    def states(**asked: Any) -> Any:
        assert asked == {"dag_id": "orchard_daily", "task_ids": ["extract"], "run_ids": ["r1"], "map_index": -1}
        return {"r1": {"extract": state}}

    async def cancel() -> list[Any]:
        emr = Emr("RUNNING")
        await broken_off(trigger(monkeypatch, emr), emr)
        return emr.cancelled

    monkeypatch.delattr(BaseTrigger, "on_kill", raising=False)
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", states)
    how = {"ClusterId": "j-1", "StepIds": ["s-1"], "StepCancellationOption": "TERMINATE_PROCESS"}
    assert asyncio.run(cancel()) == [how] * cancelled


@pytest.mark.parametrize(
    ("states", "attempt", "cancelled"),
    [
        (("failed",), 1, 1),
        ((None,), 1, 1),  # cleared just now
        (("queued", "queued", "running"), 2, 1),  # cleared, and a worker takes it again
        (("deferred",), 2, 1),  # cleared, and it waits for the step again already, which it has found
        (("deferred",), 1, 0),  # another triggerer waits for it, as this one was silent for too long
        (("queued",), 1, 0),  # `airflow dags test` waits for it
    ],
)
def test_since_airflow_3_3_the_triggerer_says_it_and_may_be_wrong(
    states: tuple[str | None, ...], attempt: int, cancelled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It calls on_kill, then: twice would be once too often."""
    left = list(states)

    async def cancel() -> tuple[list[Any], list[Any]]:
        emr = Emr("RUNNING")
        waiting = trigger(monkeypatch, emr)
        monkeypatch.setattr(triggers.XCom, "get_one", lambda **_: attempt)
        await broken_off(waiting, emr, "user-action")
        before = list(emr.cancelled)
        await waiting.on_kill()
        return before, emr.cancelled

    async def on_kill(self: BaseTrigger) -> None:
        raise AssertionError

    def tell(**_: Any) -> Any:
        return {"r1": {"extract": left.pop(0) if left[1:] else left[0]}}

    monkeypatch.setattr(BaseTrigger, "on_kill", on_kill, raising=False)
    monkeypatch.setattr(triggers, "_KILL_SECONDS", 0.5)
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", tell)
    before, after = asyncio.run(cancel())
    assert (len(before), len(after)) == (0, cancelled)


def test_the_triggerer_breaks_off_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cancels what is to be cancelled again and again; the step is cancelled all the same."""
    asked, answered = threading.Event(), threading.Event()

    def tell(**_: Any) -> Any:
        asked.set()
        answered.wait()
        return {"r1": {"extract": "failed"}}

    async def cancel() -> list[Any]:
        emr = Emr("RUNNING")
        killing = asyncio.create_task(trigger(monkeypatch, emr).on_kill())
        await asyncio.to_thread(asked.wait)
        killing.cancel("user-action")
        with suppress(asyncio.CancelledError):
            await killing
        answered.set()
        await asyncio.gather(*triggers._KILLING)
        return emr.cancelled

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", tell)
    assert len(asyncio.run(cancel())) == 1


def test_broken_off_in_airflow_dags_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """There no triggerer sets the trigger's task, and whoever presses Ctrl-C gets no traceback of ours."""

    async def cancel() -> list[Any]:
        emr = Emr("RUNNING")
        waiting = trigger(monkeypatch, emr)
        monkeypatch.setattr(StepTrigger, "task_instance", None)
        await broken_off(waiting, emr)
        return emr.cancelled

    assert asyncio.run(cancel()) == []


@pytest.mark.parametrize(("state", "cancelled"), [("failed", 1), ("deferred", 0)])
def test_a_message_that_was_lost_in_a_thread(state: str, cancelled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off while it connects, a wait does not learn why, nor does the triggerer."""

    async def cancel() -> list[Any]:
        emr = SlowEmr("RUNNING")
        await broken_off(trigger(monkeypatch, emr), emr, "user-action")
        return emr.cancelled

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda **_: {"r1": {"extract": state}})
    assert len(asyncio.run(cancel())) == cancelled
