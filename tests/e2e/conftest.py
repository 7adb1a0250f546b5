"""One house for all end-to-end tests: starting it takes as long as a story."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack, free_port
from local.standalone import Standalone
from tests.e2e.house import DAILY, REAPER, House, LakeUnderTest, copy_dags

# By default Airflow takes five minutes until it believes that a worker or a scheduler is dead, and half a minute that a
# triggerer is, whose heart beats every two seconds here.
NOTICES_DEATHS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "25",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}


@pytest.fixture(scope="session")
def house(small_artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Start both servers and Airflow."""
    folder = tmp_path_factory.mktemp("house")
    stack = Stack(folder / "aws", port=free_port(), emr_port=free_port())
    with stack.running():
        environment = {**stack.airflow_environment(), **NOTICES_DEATHS}
        airflow = Standalone(folder / "airflow", free_port(), environment, copy_dags(folder / "dags"))
        house = House(stack, airflow, small_artefact)
        try:
            house.start_airflow()
            for dag_id in (DAILY, REAPER):
                house.client.wait_for_dag(dag_id)
            yield house
        finally:
            house.stop()


@pytest.fixture
def lake(house: House) -> Iterator[LakeUnderTest]:
    """Make a lake of its own; no cluster and no fault outlives the test."""
    house.faults()
    lake = house.lake()
    yield lake
    house.faults()
    alive = [one["Id"] for one in lake.clusters() if not one["Status"]["State"].startswith("TERMINATED")]
    if alive:
        house.aws("emr").terminate_job_flows(JobFlowIds=alive)
