"""What a user's shell says of another Spark; that the one Spark of the tests heeds none of it, its fixture shows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.emr.configuration import spark_home
from spark_jobs.tables import session, shell
from tests.conftest import SHELL

REPOSITORY = Path(__file__).resolve().parents[3]


def test_all_of_it_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "spark" / "python" / "pyspark").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    others = [tmp_path / "spark" / "python", tmp_path / "spark" / "python" / "lib" / "py4j-0.10.9-src.zip"]
    own = {"PATH": "/bin", "HOME": "/home/me", "AWS_REGION": "eu-west-1"}
    environment = {**SHELL, **own, "PYTHONPATH": os.pathsep.join(map(str, [*others, tmp_path / "mine", ""]))}
    shell.clean(environment)
    assert environment == {**own, "PYTHONPATH": str(tmp_path / "mine")}


def test_a_pyspark_on_pythonpath_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "pyspark").mkdir()
    (tmp_path / "pyspark" / "__init__.py").write_text("raise TypeError('this is Spark 2.4')")
    code = (
        "import spark_jobs.run_local, pyspark; from local.emr.configuration import spark_home;"
        "print(pyspark.__path__[0], spark_home())"
    )
    paths = os.pathsep.join(map(str, [tmp_path, REPOSITORY / "plugins"]))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{spark_home()} {spark_home()}\n", "")


@pytest.mark.parametrize(
    ("left", "submitted"),
    [
        ({}, False),
        ({"PYSPARK_GATEWAY_PORT": "25333"}, False),
        ({"PYSPARK_GATEWAY_PORT": "25333", "PYSPARK_GATEWAY_SECRET": "s"}, True),
    ],
)
def test_a_gateways_port_alone_is_no_spark_submit(
    left: dict[str, str], submitted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    assert session._submitted() is submitted


def test_run_local_forgets_a_gateway(tmp_path: Path) -> None:
    """Which is another program's: nobody submits run_local."""
    code = (
        "import os, sys; from spark_jobs import run_local; "
        "run_local.open_catalog = lambda *_: sys.exit(str([one for one in os.environ if 'SPARK' in one])); "
        f"run_local.main([{str(tmp_path / 'photos')!r}, '--lake', {str(tmp_path / 'lake')!r}])"
    )
    (tmp_path / "photos").mkdir()
    gateway = {"PYSPARK_GATEWAY_PORT": "25333", "PYSPARK_GATEWAY_SECRET": "s", "SPARK_REMOTE": "sc://nowhere"}
    paths = os.pathsep.join(map(str, [REPOSITORY, REPOSITORY / "plugins"]))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=os.environ | gateway | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == "[]\n"


def test_another_sparks_numpy_is_not_imported_by_recognise(tmp_path: Path) -> None:
    for package in ("pyspark", "numpy"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise TypeError('this is another')")
    done = subprocess.run(
        [sys.executable, "-c", "import spark_jobs.recognise"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [tmp_path, REPOSITORY / "plugins"]))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
