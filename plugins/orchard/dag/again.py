"""Again: what becomes of a task that lacks what an earlier one was to leave, or whose cluster is gone.

It fails once, and says what to clear; or, where a person has cleared it just for that, has the whole run done again.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

_LOG = logging.getLogger("orchard")
_SECONDS = 300  # in which Airflow ends a task that is cleared


def needed(value: Any, what: str, task_id: str) -> Any:
    """Return what a task left.

    Raises
    ------
    AirflowFailException
        It left nothing: somebody marked it as success before it ran.
    """
    if not value:
        raise AirflowFailException(
            f"There is no {what}: {task_id} is marked as success, and has left none. Clear {task_id}, with Downstream."
        )
    return value


def all_again(context: Any, cluster: Mapping[str, Any], why: str) -> None:
    """Clear the whole run, where it was cleared since the cluster ended; else return.

    Whoever clears the failed tasks alone wants them done, and no cluster would be rented for them. What is cleared here
    rents one that ends later than that, so that nothing goes round in circles.
    """
    run, ended = context["dag_run"], cluster["Status"].get("Timeline", {}).get("EndDateTime")
    if not (ended and run.start_date and ended < run.start_date):
        return
    from airflow.sdk.execution_time.comms import TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    _LOG.warning("%s. The run was cleared since: all of its tasks are done again, on another cluster.", why)
    SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=run.dag_id, run_id=run.run_id, reset_dag_run=True))
    time.sleep(_SECONDS)
