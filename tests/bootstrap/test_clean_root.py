"""A node from its bootstrap to a photo in a UDF: a clean root file system, and no network but S3."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from spark_jobs.extractor import photos
from spark_jobs.extractor.engines import Extractor, open_engine
from tests.artefacts import REPOSITORY
from tests.bootstrap import clean_root
from tests.lakes import sample

HERE = Path(__file__).parent
AWS = ("awscli", "colorama", "docutils", "jmespath", "pyasn1", "python-dateutil", "PyYAML", "rsa", "six", "urllib3")
SUBMIT = """
export SPARK_HOME=/usr/lib/spark JAVA_HOME=/usr/lib/jvm PYSPARK_PYTHON=/opt/orchard/bin/python
exec /usr/lib/spark/bin/spark-submit --master 'local[1]' --py-files /job/spark_jobs.zip \\
  /job/udf.py /job/artefact.zip /job/photo.jpg /home/yarn/answer.json
"""
SPACES = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Make a clean root file system, or skip the test for a reason."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to change the root file system")
    if missing := [tool for tool in ("apt-get", "dpkg-deb", "ip", "unshare") if shutil.which(tool) is None]:
        pytest.skip(f"needs {', '.join(missing)}: a Debian with Python 3.11 is the clean root file system")
    if problem := subprocess.run(
        [*SPACES, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True
    ).stderr:
        pytest.skip(f"needs namespaces of its own for network and mounts: {problem}")
    try:
        packages = clean_root.fetch(REPOSITORY / ".cache" / "clean-root")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs a Debian's packages of Python 3.11, which apt cannot get: {error.stderr}")
    root = tmp_path / "root"
    clean_root.unpack(packages, root)
    yield root
    shutil.rmtree(root)  # more than a GB; what was mounted in it went with its namespace


def bring_aws(root: Path) -> None:
    """Put aws, as a node has it, where no other Python of it looks."""
    for name in AWS:
        for file in distribution(name).files or ():
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.suffix != ".so" and source.is_file():
                target = root / "usr" / "lib" / "aws" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    command = root / "usr" / "bin" / "aws"
    command.write_text('#!/bin/sh\nPYTHONPATH=/usr/lib/aws exec python3.11 -s -m awscli "$@"\n')
    command.chmod(0o755)


@pytest.mark.long
def test_a_node_boots_and_embeds_a_photo(root: Path, wheelhouse: Path, random_artefact: Path, tmp_path: Path) -> None:
    bring_aws(root)
    (photo,) = sample(tmp_path / "photos", per_label=1, labels=1)
    job = root / "job"
    job.mkdir()
    shutil.make_archive(str(job / "spark_jobs"), "zip", REPOSITORY, "spark_jobs")
    for source, name in ((random_artefact, "artefact.zip"), (photo, "photo.jpg"), (HERE / "udf.py", "udf.py")):
        shutil.copy(source, job / name)
    (job / "submit").write_text(SUBMIT)

    done = subprocess.run(
        [*SPACES, sys.executable, "-m", "tests.bootstrap.node", str(root), str(wheelhouse)],
        cwd=REPOSITORY,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = {step["step"]: step for step in map(json.loads, done.stdout.splitlines())}
    for step in steps.values():
        assert step["status"] == 0, f"{step['stdout']}{step['stderr']}"
    assert "/opt/orchard is ready: " in steps["boot"]["stdout"]
    assert "/opt/orchard is there already" in steps["again"]["stdout"]
    interfaces = [line.split(":")[0].strip() for line in steps["interfaces"]["stdout"].splitlines()[2:]]
    assert interfaces == ["lo"]

    said = json.loads((root / "home" / "yarn" / "answer.json").read_text())
    assert said["python"] == "/opt/orchard/bin/python"
    assert said["openvino"] == "/opt/orchard/lib/python3.11/site-packages/openvino/__init__.py"
    assert said["pyspark"] == "/usr/lib/spark/python/lib/pyspark.zip/pyspark/__init__.py"
    extractor = Extractor.load(random_artefact)
    (here,) = open_engine(extractor).embed(photos.decode(photo.read_bytes(), extractor.input_size)[np.newaxis])
    np.testing.assert_array_equal(np.array(said["embedding"], np.float32), here)
    # Made by hadoop with sudo, as EMR's bootstrap actions are run; not to be changed by Spark's workers.
    assert (root / "opt" / "orchard").stat().st_uid == 1001
    assert not [
        path for path in (root / "opt" / "orchard").rglob("*") if path.stat(follow_symlinks=False).st_uid != 1001
    ]
