"""Sensors: two moments of a cluster's life that a run waits for, deferred: that it is ready, and that it has ended.

Both look before they are deferred, and again when their trigger is done: what they say is what they saw then.
"""

import time
from collections.abc import Mapping
from typing import Any

from airflow.providers.amazon.aws.sensors.emr import EmrJobFlowSensor
from airflow.providers.common.compat.sdk import AirflowFailException

from orchard.aws import CONNECTION, RETRIES, client
from orchard.cluster import emr, logs
from orchard.dag import lease
from orchard.dag.again import all_again, needed
from orchard.dag.links import CLUSTER_LINKS, show_cluster
from orchard.plan import Plan
from orchard.settings import read_settings


class _ClusterSensor(EmrJobFlowSensor):
    """Wait until a cluster is in a target state.

    Parameters
    ----------
    job_flow_id : str
    plan : dict
        Of `Plan`; templated, like `job_flow_id`.
    timeout : timedelta
        How long to wait, deferrals and all. Over, the task fails at once: another try would wait as long again.
    """

    template_fields = ("job_flow_id", "plan")
    operator_extra_links: Any = CLUSTER_LINKS
    waits_for: tuple[str, ...]
    wakes_for: tuple[str, ...]  # states in which there is something to say

    def __init__(self, *, job_flow_id: Any, plan: Any, **kwargs: Any) -> None:
        super().__init__(
            job_flow_id=job_flow_id,
            target_states=self.waits_for,
            deferrable=True,
            aws_conn_id=CONNECTION,
            botocore_config=RETRIES,
            **kwargs,
        )
        self.plan = plan

    def execute(self, context: Any) -> None:
        settings, plan = read_settings(), Plan.from_dict(self.plan)
        show_cluster(context, settings, self.job_flow_id)
        if self.poke(context):
            return
        from orchard.dag.triggers import ClusterTrigger  # needs aiobotocore, which parsing the DAG does not

        until = time.time() + self.timeout
        self.defer(
            trigger=ClusterTrigger(
                self.job_flow_id, plan.region, settings.poll_seconds, self.wakes_for, until, lease.of(plan)
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Any, event: Mapping[str, Any] | None = None) -> Any:
        """Go on when the trigger is done: the state is there, or the time is over."""
        if self.poke(context):
            return event and event["bootstrapping"]
        cluster = self._describe()
        what = f"Cluster {self.job_flow_id} is {cluster['Status']['State']} after {self.timeout / 60:g} minutes"
        raise AirflowFailException(f"{what}{self._too_late(cluster)}")

    @property
    def _region(self) -> str:
        return Plan.from_dict(self.plan).region

    def _describe(self) -> dict[str, Any]:
        self.region_name = self._region
        return emr.describe(self.hook.conn, self.job_flow_id)

    def _too_late(self, cluster: Mapping[str, Any]) -> str:
        raise NotImplementedError


class ClusterReadySensor(_ClusterSensor):
    """Wait until a cluster takes steps; fail at once where it ends before, with all that can be known of why.

    Returns since when it bootstrapped, where that was seen.
    """

    waits_for = emr.READY
    wakes_for = (*emr.READY, *emr.ENDED)

    def execute(self, context: Any) -> None:
        needed(self.job_flow_id, "cluster", "create_cluster")
        super().execute(context)

    def poke(self, context: Any) -> bool:
        cluster = self._describe()
        if why := emr.gone(cluster):
            all_again(context, cluster, why)
            never = "" if "ReadyDateTime" in cluster["Status"].get("Timeline", {}) else ", and was never ready"
            self.log.error("%s%s.", why, never)
            if folder := logs.bootstrap_logs(cluster):
                logs.tell(self.log, client("s3", self._region), folder, read_settings().log_seconds)
            raise AirflowFailException(f"{why}{never}. Clear the run's tasks to do it again.")
        state = cluster["Status"]["State"]
        if state in self.waits_for:
            self.log.info("Cluster %s is %s.", self.job_flow_id, state)
        return state in self.waits_for

    def _too_late(self, cluster: Mapping[str, Any]) -> str:
        return ": it is given back. EMR on EC2 takes five to seven; clear the run's tasks to do it again."


class ClusterEndedSensor(_ClusterSensor):
    """Wait until a cluster has ended, well or not; fail where it does not, and say how to end it.

    A cluster that was kept on purpose is not waited for.
    """

    waits_for = wakes_for = emr.OVER

    def execute(self, context: Any) -> None:
        if self.job_flow_id:
            super().execute(context)
        else:  # create_cluster was marked as success
            self.log.info("There is no cluster: there is nothing to wait for.")

    def poke(self, context: Any) -> bool:
        cluster, plan = self._describe(), Plan.from_dict(self.plan)
        if cluster["Status"]["State"] in self.waits_for:
            self.log.info("%s.", emr.gone(cluster))
            return True
        if emr.gone(cluster):
            return False
        if plan.keep_cluster and emr.last_step_failed(self.hook.conn, self.job_flow_id):
            self.log.warning("A step failed, and the cluster is kept, as this run was told: it is not waited for.")
            return True
        if protected := emr.protected(cluster, self.hook.conn):
            raise AirflowFailException(protected)
        return False

    def _too_late(self, cluster: Mapping[str, Any]) -> str:
        return f", and costs money. End it, and clear this task:\n{emr.how_to_end(cluster, self.hook.conn)}"
