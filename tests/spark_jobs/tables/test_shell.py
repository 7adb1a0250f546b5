"""What a user's shell says of another Spark; that the one Spark of the tests heeds none of it, its fixture shows."""

import os
import subprocess
import sys
from pathlib import Path

from local.emr.configuration import spark_home
from spark_jobs.tables import shell
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
