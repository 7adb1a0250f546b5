"""What Amazon's managed Airflow is given holds all that the DAGs need."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from infra import mwaa
from infra.__main__ import main

SCRIPT = """
import sys
import orchard_daily, orchard_reaper
from orchard.cluster.jobs import folder, package
import orchard
print(orchard.__file__, folder(), package(folder())[1], sep="\\n")
"""


def test_the_dags_import_from_what_is_built(tmp_path: Path) -> None:
    assert main(["mwaa", "--out", str(tmp_path)]) == 0
    plugins = tmp_path / "plugins"
    with zipfile.ZipFile(tmp_path / "plugins.zip") as archive:
        names = archive.namelist()
        archive.extractall(plugins)
    assert {
        ".airflowignore",
        "orchard_plugin.py",
        "orchard/report/report.html.j2",
        "spark_jobs/extract_embeddings.py",
    } < {*names}
    assert not [name for name in names if "__pycache__" in name]
    paths = os.pathsep.join([str(tmp_path / "dags"), str(plugins)])
    environment = {**os.environ, "PYTHONPATH": paths, "AIRFLOW_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    module, jobs, digest = done.stdout.splitlines()[-3:]
    assert Path(module) == plugins / "orchard" / "__init__.py"
    assert Path(jobs) == plugins / "spark_jobs"
    assert len(digest) == 12
    ignored = (plugins / ".airflowignore").read_text().splitlines()
    assert {"orchard/", "spark_jobs/"} < {*ignored}


def test_the_same_code_is_the_same_zip(tmp_path: Path) -> None:
    for name in ("one", "two"):
        mwaa.build(tmp_path / name)
    assert (tmp_path / "one/plugins.zip").read_bytes() == (tmp_path / "two/plugins.zip").read_bytes()
    constraint, *pins = (tmp_path / "one/requirements.txt").read_text().splitlines()
    assert constraint == '--constraint "/usr/local/airflow/dags/orchard-constraints.txt"'
    assert [pin.partition("==")[0] for pin in pins] == ["aiobotocore", "duckdb", "pillow", "pyarrow", "pyiceberg[glue]"]
    constraints = (tmp_path / "one/dags/orchard-constraints.txt").read_text().splitlines()
    assert {pin.replace("[glue]", "") for pin in pins} < {*constraints}
    assert len(constraints) > 100
    assert not [
        one for one in constraints if one.startswith("apache-airflow") or not re.fullmatch(r"\S+==[\w.+]+", one)
    ]
