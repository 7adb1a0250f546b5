"""`airflow dags test orchard_daily`: the whole run in one process, as people try a DAG, without services of Airflow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import free_port
from local.standalone import Standalone
from tests.e2e.house import DAILY, House, LakeUnderTest, labels, sample

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)


def test_plan_only_with_photos_and_without(house: House, lake: LakeUnderTest, tmp_path: Path) -> None:
    """Green each time; and where a run is red, nothing but its own mistake is told."""
    home = Standalone(tmp_path / "airflow", free_port(), house.airflow.environment, house.airflow.dags)

    def airflow(*command: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=home.settings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def configured(**settings: str) -> None:
        code, said = airflow("variables", "set", "orchard", json.dumps(lake.settings(**settings)))
        assert code == 0, said

    code, said = airflow("db", "migrate")
    assert code == 0, said
    configured()
    lake.put(PHOTOS)

    code, said = airflow("dags", "test", DAILY, "--conf", '{"plan_only": true}')
    assert code == 0, said
    assert "plan only: no cluster is rented, nothing is written" in said
    assert lake.clusters() == []

    code, said = airflow("dags", "test", DAILY)
    assert code == 0, said
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(PHOTOS)
    (cluster,) = lake.clusters()
    assert cluster["Status"]["State"] == "TERMINATED"
    assert lake.steps(cluster["Id"]) == [("extract", "COMPLETED"), ("reduce", "COMPLETED")]

    code, said = airflow("dags", "test", DAILY)
    assert code == 0, said
    assert "nothing to do: no cluster is rented" in said
    assert len(lake.clusters()) == 1

    configured(extractor="mobilenet_v2-f32-000000000000")
    code, said = airflow("dags", "test", DAILY)
    assert code == 1
    assert "is not at s3://" in said
    assert "variable orchard is missing" not in said
