"""spark-submit for a cluster becomes one for this machine."""

import shlex
import shutil
from pathlib import Path

import pytest

from local.emr import submission


def test_what_only_a_cluster_has_is_left_out() -> None:
    line = (
        "--master yarn --deploy-mode=cluster --num-executors 4 --executor-memory 8g --queue q --name daily "
        "--conf spark.a=1=2 --conf=spark.b=3 --driver-memory 3g --verbose --py-files a.zip,s3://b/c.zip "
        "--conf spark.files=s3://b/f --properties-file p job.py --master mine --conf x"
    )
    found = submission.parse(shlex.split(line))
    assert found.settings == {"spark.a": "1=2", "spark.b": "3", "spark.driver.memory": "3g"}
    assert found.options == ["--name", "daily", "--verbose"]
    assert found.files == {"--py-files": ["a.zip", "s3://b/c.zip"], "--files": ["s3://b/f"]}
    assert found.properties == "p"
    assert found.resource == ["job.py", "--master", "mine", "--conf", "x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conf"], "the option --conf lacks its value"),
        (["--conf", "x", "job.py"], "--conf 'x', expected KEY=VALUE"),
        ([], "no script and no jar"),
    ],
)
def test_what_makes_no_sense(arguments: list[str], message: str) -> None:
    with pytest.raises(submission.SubmissionError, match=message):
        submission.parse(arguments)


def test_what_lies_in_s3_is_brought_here(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.mkdir()
    (content / "model.bin").write_text("weights")
    archive = shutil.make_archive(str(tmp_path / "env"), "gztar", content)
    fetched = []

    def fetch(uri: str, target: Path) -> Path:
        fetched.append(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        if uri.endswith(".tar.gz"):
            shutil.copy(archive, target)
        else:
            target.write_text(uri)
        return target

    work = tmp_path / "work"
    work.mkdir()
    line = (
        "--archives s3://b/env.tar.gz#environment --files s3a://b/labels.txt --py-files s3://b/code.zip,/here.zip "
        "--jars /usr/share/aws/iceberg/lib/iceberg.jar s3://b/job.py s3://b/input"
    )
    found = submission.parse(shlex.split(line))
    arguments = submission.bring_here(found, work, fetch)
    assert (work / "environment" / "model.bin").read_text() == "weights"
    assert (work / "labels.txt").read_text() == "s3a://b/labels.txt"
    assert arguments == [
        *("--files", str(work / "files" / "labels.txt")),
        *("--py-files", f"{work / 'py-files' / 'code.zip'},/here.zip"),
        *(str(work / "job.py"), "s3://b/input"),  # the job's own arguments are its own affair
    ]
    assert fetched == ["s3://b/env.tar.gz", "s3a://b/labels.txt", "s3://b/code.zip", "s3://b/job.py"]
