"""Operators: the provider's three for EMR, made safe to kill, to retry and to leave alone for hours.

What each adds is what design.md lists under what Airflow and its provider do not do.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import BaseOperator

from orchard.aws import CONNECTION, RETRIES, client, never_twice, read_object
from orchard.cluster import emr, logs
from orchard.cluster.request import STEPS, job_flow
from orchard.dag import lease
from orchard.dag.again import all_again, needed
from orchard.dag.links import CLUSTER_LINKS, ReportLink, airflow_url, show_cluster
from orchard.plan import Plan
from orchard.settings import read_settings


class CreateClusterOperator(EmrCreateJobFlowOperator):
    """Rent the run's cluster, or take the one that this run has already; return its id, without waiting for it.

    RunJobFlow takes no client token, so a live cluster with the run's tag is looked for first. Nothing that could fail
    follows its answer: `cluster_ready` waits for the cluster, and tells why if it never comes.

    Parameters
    ----------
    plan : dict
        Of `Plan`, templated.
    """

    template_fields = ("plan",)
    operator_extra_links: Any = CLUSTER_LINKS

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(aws_conn_id=CONNECTION, emr_conn_id=None, botocore_config=RETRIES, **kwargs)
        self.plan = plan

    def execute(self, context: Any) -> str:
        settings, plan = read_settings(), Plan.from_dict(self.plan)
        self.region_name = plan.region
        found = emr.find_cluster(self.hook.conn, plan.lake, plan.dag_id, plan.dag_run_id)
        if found:
            self._job_flow_id = found["Id"]
            self.log.info("Cluster %s is this run's already, and %s.", found["Id"], found["Status"]["State"])
        else:
            never_twice(self.hook.conn, "RunJobFlow")
            self._job_flow_id = self.hook.create_job_flow(job_flow(settings, plan))["JobFlowId"]
            self.log.info("Rented cluster %s.\n%s", self._job_flow_id, plan.describe())
        cluster_id = str(self._job_flow_id)
        show_cluster(context, settings, cluster_id)
        return cluster_id


class RunStepOperator(EmrAddStepsOperator):
    """Add a step and wait for it, deferred; or wait for the one that an earlier try of this task added.

    Parameters
    ----------
    step : str
        A key of `orchard.cluster.request.STEPS`.
    cluster_id : str
    plan, code : dict
        Of `Plan`, and the addresses of the staged jobs; templated, like `cluster_id`.
    """

    template_fields = ("cluster_id", "plan", "code")
    operator_extra_links: Any = CLUSTER_LINKS

    def __init__(self, *, step: str, cluster_id: Any, plan: Any, code: Any, **kwargs: Any) -> None:
        super().__init__(job_flow_id="", aws_conn_id=CONNECTION, botocore_config=RETRIES, **kwargs)
        self.step = step
        self.cluster_id = cluster_id
        self.plan = plan
        self.code = code
        self._step_id: str | None = None

    def execute(self, context: Any) -> Any:
        settings, plan = read_settings(), Plan.from_dict(self.plan)
        if self.step == "extract" and not plan.changes:
            self.log.info("No photo was added, changed, deleted or relabelled: there is nothing to extract.")
            return None
        if self.step == "maintain" and not plan.maintain:
            raise AirflowSkipException("Table maintenance is not due.")
        self.region_name = plan.region
        needed(self.cluster_id, "cluster", "create_cluster")
        needed(self.code, "code", "stage_code")
        cluster = emr.describe(self.hook.conn, self.cluster_id)
        if why := emr.gone(cluster):
            all_again(context, cluster, why)
            raise AirflowFailException(f"{why}: no step can be added. Clear the run's tasks to do it again.")
        show_cluster(context, settings, self.cluster_id)
        wanted = STEPS[self.step](plan, self.code)
        if found := emr.find_step(self.hook.conn, self.cluster_id, wanted):
            self._step_id = found["Id"]
            self.log.info("Step %s is there already, and %s.", self._step_id, found["Status"]["State"])
            if found["Status"]["State"] in emr.DONE:  # Airflow may try again what goes on too soon
                return self.resume(context, {"state": found["Status"]["State"], "step_id": self._step_id})
        else:
            never_twice(self.hook.conn, "AddJobFlowSteps")
            (self._step_id,) = self.hook.add_job_flow_steps(job_flow_id=self.cluster_id, steps=[wanted])
            self.log.info("Added step %s: %s", self._step_id, " ".join(wanted["HadoopJarStep"]["Args"]))
        from orchard.dag.triggers import TRY, StepTrigger  # needs aiobotocore, which parsing the DAG does not

        context["ti"].xcom_push(key=TRY, value=context["ti"].try_number)
        self.defer(
            trigger=StepTrigger(
                self.cluster_id, self._step_id, plan.region, settings.poll_seconds, bool(found), lease.of(plan)
            ),
            method_name="resume",
        )

    def resume(self, context: Any, event: Mapping[str, Any], **of_older: Any) -> str:
        """Go on when the step has ended: tell what it did, or all that can be known of why it failed.

        All that it needs is in the trigger's event: `airflow dags test` hands over nothing else. What an older version
        of Orchard deferred has it beside the event.
        """
        event = {**of_older, **event}
        step_id, found = str(event["step_id"]), bool(event.get("found"))
        plan = Plan.from_dict(self.plan)
        self.region_name = plan.region
        s3 = client("s3", plan.region)
        if event["state"] in emr.DONE:
            did = json.loads(read_object(s3, f"{plan.lake}/steps/{plan.run_id}/{self.step}.json"))
            self.log.info("Step %s is done: %s", step_id, did)
            if did.get("withdrew"):
                self._not_alone(context)
            return step_id
        # Looked at again: a step may be seen to end just before its cluster is.
        cluster = emr.describe(self.hook.conn, self.cluster_id)
        gone = emr.gone(cluster)
        # The logs of a step whose cluster ended are there when the cluster is, or never come.
        failed_alone = event["state"] == "FAILED" and not gone
        self._tell(s3, plan, cluster, step_id, read_settings().log_seconds if failed_alone else 0.0)
        what = f"Step {self.step} ({step_id}) is {event['state']}"
        if gone:
            raise AirflowFailException(f"{gone}; {what}. Clear the run's tasks to do it again.")
        if found and event["state"] in ("CANCELLED", "CANCEL_PENDING"):
            # A task that is cleared cancels its step, and may find it again before that is done.
            raise AirflowException(f"{what}, which an earlier try had added: another try adds it anew.")
        if event["state"] in ("CANCELLED", "CANCEL_PENDING"):
            raise AirflowFailException(f"{what}: somebody cancelled it.")
        raise AirflowException(f"{what}; see the traceback above.")

    def _not_alone(self, context: Any) -> None:
        """Fail where step 2 is not to follow: with step 1 cleared alone, a run would be green without its sums."""
        ti = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=["reduce"], run_ids=[ti.run_id])
        if states.get(ti.run_id, {}).get("reduce") == "success":
            raise AirflowFailException(
                "Photos came out otherwise than before, so what reduce had made of them was taken out of the lake, and "
                "reduce is not to run again. Clear this task once more, with Downstream."
            )

    def _tell(self, s3: Any, plan: Plan, cluster: Mapping[str, Any], step_id: str, patience: float) -> None:
        """Log the traceback that the job left, and the end of its log as soon as EMR has brought it."""
        address = f"{plan.lake}/steps/{plan.run_id}/{self.step}.traceback"
        try:
            self.log.error("The job left this traceback:\n%s", read_object(s3, address).decode())
            patience = 0.0
        except FileNotFoundError:
            self.log.error("The job left no traceback at %s: it did not come to its own code, or was killed.", address)
        status = self.hook.conn.describe_step(ClusterId=self.cluster_id, StepId=step_id)["Step"]["Status"]
        if details := status.get("FailureDetails"):
            self.log.error("EMR says: %s", details)
        if folder := logs.step_logs(cluster, step_id):
            logs.tell(self.log, s3, folder, patience)

    def on_kill(self) -> None:
        """Cancel the step; while the task is deferred, its trigger does."""
        if self._step_id:
            self.log.info("Cancelling step %s.", self._step_id)
            self.hook.conn.cancel_steps(
                ClusterId=self.cluster_id, StepIds=[self._step_id], StepCancellationOption="TERMINATE_PROCESS"
            )


class TerminateClusterOperator(EmrTerminateJobFlowOperator):
    """Give the cluster back; keep it only where the run was told to and a step failed.

    Returns when it was told to end, where it was.
    """

    template_fields = ("cluster_id", "plan")
    operator_extra_links: Any = CLUSTER_LINKS

    def __init__(self, *, cluster_id: Any, plan: Any, **kwargs: Any) -> None:
        super().__init__(job_flow_id="", aws_conn_id=CONNECTION, botocore_config=RETRIES, **kwargs)
        self.cluster_id = cluster_id
        self.plan = plan

    def execute(self, context: Any) -> Any:
        settings, plan = read_settings(), Plan.from_dict(self.plan)
        self.region_name = plan.region
        if not self.cluster_id:  # create_cluster was marked as success, and may have rented one all the same
            found = emr.find_cluster(self.hook.conn, plan.lake, plan.dag_id, plan.dag_run_id)
            if not found:
                self.log.info("There is no cluster: there is nothing to give back.")
                return None
            self.cluster_id = found["Id"]
        show_cluster(context, settings, self.cluster_id)
        if plan.keep_cluster and emr.last_step_failed(self.hook.conn, self.cluster_id):
            self.log.warning(
                "A step failed, and this run was told to keep its cluster then: %s ends itself after %d idle minutes.",
                *(self.cluster_id, settings.idle_minutes),
            )
            return None
        cluster = emr.describe(self.hook.conn, self.cluster_id)
        if gone := emr.gone(cluster):
            self.log.info("%s.", gone)
            return None
        if protected := emr.protected(cluster, self.hook.conn):  # EMR would refuse, whoever asks and how often
            raise AirflowFailException(protected)
        told = time.time()
        self.hook.conn.terminate_job_flows(JobFlowIds=[self.cluster_id])
        self.log.info("Cluster %s is given back.", self.cluster_id)
        return told


class ReportOperator(BaseOperator):
    """Write the run's row of `runs` and its page, and link the page.

    Parameters
    ----------
    plan, cluster_id, step_ids, counts, marks
        Of `orchard.dag.record.record`; templated.
    """

    template_fields = ("plan", "cluster_id", "step_ids", "counts", "marks")
    operator_extra_links = (ReportLink(),)

    def __init__(self, *, plan: Any, cluster_id: Any, step_ids: Any, counts: Any, marks: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.cluster_id = cluster_id
        self.step_ids = step_ids
        self.counts = counts
        self.marks = marks

    def execute(self, context: Any) -> str | None:
        from orchard.dag.record import record  # reads the lake, with libraries that parsing the DAG need not load

        plan = Plan.from_dict(self.plan)
        needed(self.counts, "sums", "check_run")
        if not self.cluster_id:
            raise AirflowSkipException("There is no cluster, and nothing to report of it.")
        address = record(plan, self.cluster_id, self.step_ids, self.counts, self.marks)
        if address is not None:
            ReportLink().show(context, airflow_url(f"/orchard/reports/{plan.run_id}"))
        return address
