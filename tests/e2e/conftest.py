"""One house for all end-to-end tests: starting it takes as long as a story."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack, free_port
from local.standalone import Standalone
from tests.e2e.house import DAILY, REAPER, House, LakeUnderTest, copy_dags


@pytest.fixture(scope="session")
def house(random_artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Start both servers and Airflow."""
    folder = tmp_path_factory.mktemp("house")
    stack = Stack(folder / "aws", port=free_port(), emr_port=free_port())
    with stack.running():
        airflow = Standalone(folder / "airflow", free_port(), stack.environment(), copy_dags(folder / "dags"))
        process = airflow.start()
        try:
            house = House(stack, airflow, airflow.wait(process), random_artefact, process)
            for dag_id in (DAILY, REAPER):
                house.client.wait_for_dag(dag_id)
            yield house
        finally:
            airflow.stop(process)


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
