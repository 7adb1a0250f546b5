"""A cluster's life: it starts, bootstraps, runs its steps, waits, and ends."""

import asyncio
import time

from local.emr.bootstrap import bootstrap
from local.emr.faults import Fault
from local.emr.house import House
from local.emr.runner import Runner
from local.emr.state import Cluster, Step


class Life:
    """What drives one cluster; the calls only change its state and wake this.

    All runs in one event loop, and state changes between two awaits: there are no locks.
    """

    def __init__(self, house: House, cluster: Cluster) -> None:
        self.house = house
        self.cluster = cluster
        self.runner = Runner(house, cluster, self._step_failed)
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        if cluster.state == "TERMINATING":
            self._ended.set()

    def wake(self) -> None:
        """Tell that something changed."""
        self.house.store.save(self.cluster)
        self._wake.set()

    def end(self, code: str, message: str, after: float = 0) -> None:
        """Terminate the cluster: at once as far as anybody sees, what runs is killed right after.

        Parameters
        ----------
        code, message : str
            EMR's StateChangeReason.
        """
        if after:
            asyncio.get_running_loop().call_later(after, self.end, code, message)
            return
        if not self.cluster.live:
            return
        self.cluster.state, self.cluster.code, self.cluster.message = "TERMINATING", code, message
        self.runner.cancel_pending()
        self.house.store.save(self.cluster)
        self._ended.set()

    def fail(self, fault: Fault) -> None:
        """End as a rule of a test wants it."""
        self.end(fault.code, fault.message or "The master node was terminated. ", fault.seconds)

    async def run(self) -> None:
        """Live until the cluster has ended. Cancelled, the server stops: the cluster goes on when it starts again."""
        work = asyncio.create_task(self._work())
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
            if work.done() and (error := work.exception()) is not None:
                self.house.log.error("The cluster %s ends", self.cluster.id, exc_info=error)
                self.end("INTERNAL_ERROR", f"The local EMR failed: {error!r}")
        finally:
            work.cancel()
            ended.cancel()
            await asyncio.gather(work, ended, return_exceptions=True)
        await self._finish()

    async def _work(self) -> None:
        cluster = self.cluster
        if cluster.state == "STARTING":
            await asyncio.sleep(self.house.settings.start_delay)
        if not cluster.live:
            return
        if cluster.ready is None:
            self._to("BOOTSTRAPPING", "Running bootstrap actions")
            failed = await bootstrap(self.house, cluster)
            if failed is not None:
                self.end("BOOTSTRAP_FAILURE", failed)
                return
            cluster.ready = time.time()
        self.runner.fail_interrupted()
        async with asyncio.TaskGroup() as tasks:
            while cluster.live:
                self._wake.clear()
                for step in self.runner.startable():
                    self._to("RUNNING", "Running step")
                    self.runner.start(step, tasks).add_done_callback(lambda _: self._wake.set())
                if not any(step.active for step in cluster.steps):
                    self._settle()
                await self._until_woken()

    def _to(self, state: str, message: str) -> None:
        """Go to another state, unless the cluster ends."""
        if self.cluster.live and self.cluster.state != state:
            self.cluster.state, self.cluster.code, self.cluster.message = state, None, message
            self.cluster.waiting_since = time.time() if state == "WAITING" else None
            self.house.store.save(self.cluster)

    def _settle(self) -> None:
        """Wait for more steps, or end, as the cluster was told."""
        failed = [step for step in self.cluster.steps if step.state in ("FAILED", "CANCELLED", "INTERRUPTED")]
        if not self.cluster.keep_alive:
            self.end("ALL_STEPS_COMPLETED", "Steps completed with errors" if failed else "Steps completed")
        elif not self.cluster.steps:
            self._to("WAITING", "Cluster ready to run steps.")
        else:
            last = "failed" if self.cluster.steps[-1] in failed else "completed"
            self._to("WAITING", f"Cluster ready after last step {last}.")

    async def _until_woken(self) -> None:
        left = None
        policy = self.cluster.auto_termination
        if self.cluster.waiting_since is not None and policy and not self.cluster.protected:
            allowed = policy["IdleTimeout"] / self.house.settings.idle_speed
            left = max(0.0, self.cluster.waiting_since + allowed - time.time())
        try:
            await asyncio.wait_for(self._wake.wait(), left)
        except TimeoutError:
            idle = policy["IdleTimeout"] if policy else 0
            self.end("USER_REQUEST", f"Terminated by the auto-termination policy: idle for {idle} seconds")

    def _step_failed(self, step: Step) -> None:
        """Do what the step's ActionOnFailure says."""
        if self.cluster.concurrency > 1 or step.action == "CONTINUE":
            return  # with several at once, EMR ends nothing
        if step.action != "CANCEL_AND_WAIT" and not (self.cluster.protected and self.cluster.keep_alive):
            self.end("STEP_FAILURE", "Shut down as step failed")
        else:
            self.runner.cancel_pending()

    async def _finish(self) -> None:
        """Be terminated: nothing runs any more."""
        by_user = self.cluster.code == "USER_REQUEST"
        self.runner.stop_running("INTERRUPTED" if by_user else "CANCELLED")
        await self.runner.upload_rest()
        await asyncio.sleep(self.house.settings.stop_delay)
        now = time.time()
        for instance in self.cluster.instances:
            instance.ended = instance.ended or now
        well = self.cluster.code in ("USER_REQUEST", "ALL_STEPS_COMPLETED")
        self.cluster.state = "TERMINATED" if well else "TERMINATED_WITH_ERRORS"
        self.cluster.ended = now
        self.house.store.save(self.cluster)
