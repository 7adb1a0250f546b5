"""Runs a cluster's steps."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from local.emr.command import TEMPORARY, CommandError
from local.emr.house import House
from local.emr.logs import Logs
from local.emr.process import Process
from local.emr.state import Cluster, Step

RESTARTED = "The local EMR was restarted while this step ran: its processes were killed."


class Runner:
    """The steps of one cluster.

    Parameters
    ----------
    failed : callable
        Told of each step that failed.
    """

    def __init__(self, house: House, cluster: Cluster, failed: Callable[[Step], None]) -> None:
        self.house = house
        self.cluster = cluster
        self._failed = failed
        self._processes: dict[str, Process] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._late: dict[str, asyncio.Task[None]] = {}

    def startable(self) -> Iterator[Step]:
        """Give the steps that may start now, in their order."""
        running = sum(step.state in ("RUNNING", "CANCEL_PENDING") for step in self.cluster.steps)
        pending = [step for step in self.cluster.steps if step.state == "PENDING"]
        yield from pending[: max(0, self.cluster.concurrency - running)]

    def start(self, step: Step, tasks: asyncio.TaskGroup) -> asyncio.Task[None]:
        step.state, step.started = "RUNNING", time.time()
        self._save()
        self._tasks[step.id] = tasks.create_task(self._run(step))
        return self._tasks[step.id]

    def cancel(self, step: Step, at_once: bool) -> bool:
        """Cancel a step; say whether there was anything to cancel.

        Parameters
        ----------
        at_once : bool
            Kill it, rather than ask it to end.
        """
        if step.state == "PENDING":
            self._end(step, "CANCELLED", "Cancelled by user")
        elif step.state in ("RUNNING", "CANCEL_PENDING"):
            step.state = "CANCEL_PENDING"
            if process := self._processes.get(step.id):
                process.kill() if at_once else process.terminate()
            else:
                self._tasks[step.id].cancel()
        else:
            return False
        self._save()
        return True

    def cancel_pending(self) -> None:
        """Cancel what has not begun."""
        for step in self.cluster.steps:
            if step.state == "PENDING":
                self._end(step, "CANCELLED", "")
        self._save()

    def stop_running(self, state: str) -> None:
        """Mark what ran when the cluster ended."""
        for step in self.cluster.steps:
            if step.active:
                self._end(step, state, "The cluster was terminated while this step ran.")
                self._late[step.id] = asyncio.create_task(self._upload(step))

    def fail_interrupted(self) -> None:
        """Fail what ran when the server ended."""
        for step in self.cluster.steps:
            if step.state == "RUNNING":
                Logs(self._folder(step)).note(RESTARTED)
                shutil.rmtree(self._folder(step) / TEMPORARY, ignore_errors=True)
                self._fail(step, "Restarted.", RESTARTED)
                self._late[step.id] = asyncio.create_task(self._upload(step))
                self._failed(step)
            elif step.state == "CANCEL_PENDING":
                self._end(step, "CANCELLED", "Cancelled by user")
        self._save()

    async def upload_rest(self) -> None:
        """Upload the logs that wait for their time: EMR does so when the cluster ends."""
        for step_id, task in list(self._late.items()):
            step = self.cluster.step(step_id)
            if not task.done() and step is not None and self.house.settings.log_delay:
                task.cancel()
                self._late[step_id] = asyncio.create_task(self._upload(step))
        await asyncio.gather(*self._late.values(), return_exceptions=True)

    async def _run(self, step: Step) -> None:
        logs = Logs(self._folder(step))
        try:
            await self._execute(step, logs)
        except asyncio.CancelledError:
            if step.state != "CANCEL_PENDING":
                raise  # the cluster ends, or the server
            await self._conclude(step, "CANCELLED")
        finally:
            self._processes.pop(step.id, None)
            self._tasks.pop(step.id, None)
            shutil.rmtree(logs.folder / TEMPORARY, ignore_errors=True)

    async def _execute(self, step: Step, logs: Logs) -> None:
        fault = self.house.faults.take("step", step.name)
        if fault and fault.do == "delay":
            await self.house.faults.hold_up(fault)
        try:
            if fault and fault.do == "fail":
                raise CommandError("Unknown Error.", fault.message or "A rule of /_faults lets this step fail.")
            work = logs.folder / "work"
            work.mkdir(exist_ok=True)
            command = await asyncio.to_thread(self.house.commands.of_step, self.cluster, step, work)
        except CommandError as error:
            logs.note(f"ERROR {error.reason} {error}")
            await self._conclude(step, "FAILED", error.reason, str(error))
            return
        logs.note(f"startExec {command} in {work}")
        async with await Process.start(
            command.arguments, work, command.environment, logs["stdout"], logs["stderr"]
        ) as process:
            self._processes[step.id] = process
            if fault and fault.do == "kill":
                asyncio.get_running_loop().call_later(fault.seconds, process.kill)
            status = await process.wait()
        seconds = time.time() - (step.started or time.time())
        logs.note(f"The step ended with {status} after {seconds:.1f} s")
        if status == 0:
            await self._conclude(step, "COMPLETED")
        elif step.state == "CANCEL_PENDING":
            await self._conclude(step, "CANCELLED")
        else:
            words = logs.last_words()
            message = f"Exit status {status}: {words}" if words else f"Exit status {status}; it wrote no error."
            await self._conclude(step, "FAILED", "Unknown Error.", message + logs.hint())

    async def _conclude(self, step: Step, state: str, reason: str = "", message: str = "") -> None:
        """Let a step end; its logs are there by then, unless they are to come late."""
        upload = asyncio.create_task(self._upload(step, self.house.settings.log_delay))
        if self.house.settings.log_delay:
            self._late[step.id] = upload
        else:
            await upload
        if state == "FAILED":
            self._fail(step, reason, message)
            self._failed(step)
        else:
            self._end(step, state, "Cancelled by user" if state == "CANCELLED" else "")
        self._save()

    async def _upload(self, step: Step, delay: float = 0) -> None:
        await asyncio.sleep(delay)
        if uri := self.log_uri(step):
            logs = Logs(self._folder(step))
            if problem := await asyncio.to_thread(logs.upload, self.house.access, self.cluster, uri):
                self.house.log.warning("%s", problem)

    def log_uri(self, step: Step) -> str | None:
        """Where a step's logs go."""
        own = step.request.get("StepMonitoringConfiguration", {}).get("S3MonitoringConfiguration", {}).get("LogUri")
        base = f"{own.rstrip('/')}/{self.cluster.id}" if own else self.cluster.log_uri
        return f"{base}/steps/{step.id}" if base else None

    def _fail(self, step: Step, reason: str, message: str) -> None:
        step.failure = {"Reason": reason, "Message": message}
        if uri := self.log_uri(step):
            step.failure["LogFile"] = f"{uri}/stderr.gz"
        self._end(step, "FAILED", "")

    def _end(self, step: Step, state: str, message: str) -> None:
        step.state, step.message, step.ended = state, message, time.time()

    def _folder(self, step: Step) -> Path:
        return self.house.store.step_folder(self.cluster, step)

    def _save(self) -> None:
        self.house.store.save(self.cluster)
