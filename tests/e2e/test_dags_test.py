"""`airflow dags test orchard_daily`: the whole run in one process, as people try a DAG, without services of Airflow."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import free_port
from local.standalone import Standalone
from tests.e2e.house import DAILY, House, LakeUnderTest, labels, sample

pytestmark = pytest.mark.long

PHOTOS = sample(labels(1)[0], 0, 1, 2, 3)
TEST = ("dags", "test", DAILY)
END = "=== ended with "
# Several commands in one process: for each, Airflow alone would take longer to start than what it does.
COMMANDS = f"""
import json
import sys
from airflow.__main__ import main

for command in json.loads(sys.argv[1]):
    sys.argv = ["airflow", *command]
    try:
        main()
        ended = None
    except SystemExit as exit:
        ended = exit.code
    print(f"\\n{END}{{ended}}", flush=True)
"""


def test_plan_only_with_photos_and_without(house: House, lake: LakeUnderTest, tmp_path: Path) -> None:
    """Green each time; and where a run is red, nothing but its own mistake is told.

    The run that does all, and the one that is red, are the first of their process, as they are where people try them.
    """
    home = Standalone(tmp_path / "airflow", free_port(), house.airflow.environment, house.airflow.dags)

    def airflow(*commands: tuple[str, ...]) -> list[tuple[str, str]]:
        """Return how each command ended, and what it said."""
        done = subprocess.run(
            [sys.executable, "-u", "-c", COMMANDS, json.dumps(commands)],
            env=home.settings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = re.split(rf"\n{END}(.*)\n", done.stdout)
        assert (done.returncode, len(said)) == (0, 2 * len(commands) + 1), done.stdout
        return list(zip(said[1::2], said[::2], strict=False))

    def configured(**settings: str) -> tuple[str, ...]:
        return ("variables", "set", "orchard", json.dumps(lake.settings(**settings)))

    lake.put(PHOTOS)
    *prepared, (ended, said), (again, nothing) = airflow(("db", "migrate"), configured(), TEST, TEST)
    assert [code for code, _ in prepared] == ["None", "None"], prepared
    assert ended == "None", said
    assert lake.uris("embeddings") == lake.uris("coordinates") == sorted(PHOTOS)
    (cluster,) = lake.clusters()
    assert cluster["Status"]["State"] == "TERMINATED"
    assert lake.steps(cluster["Id"]) == [("extract", "COMPLETED"), ("reduce", "COMPLETED")]
    assert again == "None", nothing
    assert "nothing to do: no cluster is rented" in nothing

    lake.put(sample(labels(1)[0], 4))
    _, (red, mistake), _, (looked, plan) = airflow(
        configured(extractor="mobilenet_v2-f32-000000000000"),
        TEST,
        configured(),
        (*TEST, "--conf", '{"plan_only": true}'),
    )
    assert red not in ("None", "0"), mistake
    assert "is not at s3://" in mistake
    assert "variable orchard is missing" not in mistake
    assert looked == "None", plan
    assert "plan only: no cluster is rented, nothing is written" in plan
    assert "1 new" in plan
    assert len(lake.clusters()) == 1
    assert lake.uris("batches") == sorted(PHOTOS)
