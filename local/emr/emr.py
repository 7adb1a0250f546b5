"""All clusters, alive and gone."""

import asyncio
from typing import Any

from local.emr.errors import EmrError, invalid, validation
from local.emr.house import House
from local.emr.instances import instances_of, pools_of
from local.emr.life import Life
from local.emr.state import Cluster, Step, new_id


class Emr:
    """The service itself: finds clusters, and keeps those alive that live."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.region = house.settings.region
        self.clusters = {cluster.id: cluster for cluster in house.store.load()}
        self.security = house.store.load_security()
        self.lives: dict[str, Life] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Let clusters that lived when the server ended live on."""
        for cluster in self.clusters.values():
            self.lives[cluster.id] = Life(self.house, cluster)
            if cluster.ended is None:
                self._live(cluster)

    async def stop(self) -> None:
        """Kill what runs; all clusters stay as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def create(self, request: dict[str, Any]) -> Cluster:
        """Make a cluster of a request that has been checked."""
        instances = request["Instances"]
        cluster = Cluster(
            new_id("j"),
            request,
            message="Provisioning Amazon EC2 capacity",
            keep_alive=instances.get("KeepJobFlowAliveWhenNoSteps", False),
            protected=instances.get("TerminationProtected", False),
            visible=request.get("VisibleToAllUsers", True),
            replace_unhealthy=instances.get(
                "UnhealthyNodeReplacement", instances.get("TerminationProtected", False) is False
            ),
            concurrency=request.get("StepConcurrencyLevel", 1),
            auto_termination=request.get("AutoTerminationPolicy"),
            scaling=request.get("ManagedScalingPolicy"),
            tags={tag["Key"]: tag.get("Value", "") for tag in request.get("Tags", ())},
            steps=[Step(new_id("s"), step) for step in request.get("Steps", ())],
            pools=pools_of(instances),
        )
        cluster.instances = [instance for pool in cluster.pools for instance in instances_of(pool)]
        for step in cluster.steps:
            step.role = request.get("StepExecutionRoleArn")
        self.house.store.save(cluster)
        self.clusters[cluster.id] = cluster
        self.lives[cluster.id] = Life(self.house, cluster)
        self._live(cluster)
        if fault := self.house.faults.take("cluster", cluster.name):
            self.lives[cluster.id].fail(fault)
        return cluster

    def _live(self, cluster: Cluster) -> None:
        task = asyncio.create_task(self.lives[cluster.id].run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cluster(self, cluster_id: str) -> Cluster:
        """Find a cluster, as the newer calls do."""
        if cluster_id not in self.clusters:
            raise invalid(f"Cluster id '{cluster_id}' is not valid.")
        return self.clusters[cluster_id]

    def job_flow(self, cluster_id: str) -> Cluster:
        """Find a cluster, as the older calls do."""
        if cluster_id not in self.clusters:
            raise validation("Specified job flow ID does not exist.")
        return self.clusters[cluster_id]

    def step(self, cluster: Cluster, step_id: str) -> Step:
        step = cluster.step(step_id)
        if step is None:
            raise invalid(f"Step id '{step_id}' is not valid.")
        return step

    def apply_faults(self) -> None:
        """Let new rules about clusters find those that live."""
        for cluster in [cluster for cluster in self.clusters.values() if cluster.live]:
            if fault := self.house.faults.take("cluster", cluster.name):
                self.lives[cluster.id].fail(fault)


def unanswered(operation: str) -> EmrError:
    return EmrError("UnknownOperationException", f"This local EMR does not answer {operation}: see docs/local-emr.md.")
