"""spark-submit steps really run, with what was shipped and nothing else."""

import io
import os
import zipfile
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.conftest import Aws
from tests.local.emr.servers import LocalEmr, step

JOB = """
import importlib.util, os, sys
from pathlib import Path
from pyspark import SparkFiles
from pyspark.sql import SparkSession
from shipped import fruit

spark = SparkSession.builder.getOrCreate()
names = spark.sparkContext.parallelize([1, 2], 2).map(lambda _: fruit.NAME).collect()
settings = spark.sparkContext.getConf()
print("names", names)
print("arguments", sys.argv[1:])
print("labels", Path("labels.txt").read_text(), Path(SparkFiles.get("labels.txt")).read_text())
for key in ("spark.master", "spark.app.name", "spark.driver.memory", "spark.test", "spark.executor.memory"):
    print(key, settings.get(key))
print("own", importlib.util.find_spec("spark_jobs"))
print("exported", os.environ["EXPORTED"], os.environ["THEIRS"])
if sys.argv[1] == "bad":
    spark.read.text(sys.argv[2])
"""


CONFIGURATIONS = [
    {"Classification": "spark-defaults", "Properties": {"spark.test": "1", "spark.driver.memory": "1g"}},
    {
        "Classification": "spark-env",
        "Configurations": [{"Classification": "export", "Properties": {"EXPORTED": "y"}}],
    },
]


def put_job(aws: Aws, bucket: str) -> None:
    """Put the script into the bucket, with what it is shipped with."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("shipped/__init__.py", "")
        file.writestr("shipped/fruit.py", "NAME = 'plum'")
    for key, body in (("job.py", JOB.encode()), ("code.zip", package.getvalue()), ("labels.txt", b"Kiwi")):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def submit(bucket: str, name: str) -> dict[str, object]:
    """Return a step that submits it."""
    return step(
        name,
        *("spark-submit", "--master", "yarn", "--deploy-mode", "cluster", "--name", name),
        *("--executor-memory", "4g", "--driver-memory", "600m", "--conf", "spark.test=2"),
        *("--conf", "spark.yarn.appMasterEnv.THEIRS=x", "--py-files", f"s3://{bucket}/code.zip"),
        *("--files", f"s3://{bucket}/labels.txt", f"s3://{bucket}/job.py", name, "s3://bucket/photos"),
    )


def assert_good(server: LocalEmr, bucket: str, cluster: str, step_id: str) -> None:
    """Check what it wrote when nothing was bad."""
    lines = server.log(f"s3://{bucket}/logs/{cluster}/steps/{step_id}/stdout.gz").splitlines()
    assert "names ['plum', 'plum']" in lines
    assert "arguments ['good', 's3://bucket/photos']" in lines
    assert "labels Kiwi Kiwi" in lines
    assert {"spark.app.name good", "spark.driver.memory 600m", "spark.test 2"} <= set(lines)
    assert "spark.executor.memory None" in lines
    (master,) = [line for line in lines if line.startswith("spark.master")]
    assert master.startswith("spark.master local[")
    assert "own None" in lines
    assert "exported y x" in lines
    assert "ERROR" not in server.step_log(cluster, step_id, "stderr")


def test_spark(local_emr: LocalEmr, bucket: str) -> None:
    put_job(local_emr.aws, bucket)
    script = step("script", "bash", "-c", "command -v spark-submit; cat $SPARK_CONF_DIR/spark-defaults.conf")
    cluster = local_emr.run(
        *(submit(bucket, "good"), submit(bucket, "bad"), script),
        LogUri=f"s3://{bucket}/logs",
        StepConcurrencyLevel=3,
        Configurations=CONFIGURATIONS,
    )
    local_emr.until_steps(cluster, ["COMPLETED", "FAILED", "COMPLETED"], 150)
    good, bad, script_step = local_emr.steps(cluster)
    assert_good(local_emr, bucket, cluster, good["Id"])
    message = bad["Status"]["FailureDetails"]["Message"]
    assert message.startswith("Exit status 1: org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem")
    assert ' for scheme "s3". Spark itself reads no s3:// here, as there is no EMRFS: read with what the job' in message
    assert bad["Config"]["Args"][-1] == "s3://bucket/photos"
    output = local_emr.step_log(cluster, script_step["Id"])
    assert "/pyspark/bin/spark-submit" in output
    assert "spark.test=1" in output
    folder = local_emr.data / "clusters" / cluster / "steps" / good["Id"]
    assert "java.io.tmpdir" in (folder / "spark.properties").read_text()
    assert not (folder / "tmp").exists()
    history = local_emr.get(f"/clusters/{cluster}/spark-ui")
    assert "History Server" in history
    with pytest.raises(HTTPError, match="404"):
        local_emr.get("/clusters/j-NONE/spark-ui")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a name")
def test_spark_by_a_user_without_a_name(aws: Aws, bucket: str, tmp_path: Path) -> None:
    """As docker run --user and OpenShift start the server; the rights on files it keeps here."""
    nameless = ("setpriv", "--reuid=12345", "--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    put_job(aws, bucket)
    server = LocalEmr(aws, tmp_path / "data", by=nameless)
    jar = step("jar", "spark-submit", "--class", "A", f"s3://{bucket}/code.zip")
    cluster = server.run(
        submit(bucket, "good"), jar, LogUri=f"s3://{bucket}/logs", Configurations=CONFIGURATIONS, StepConcurrencyLevel=2
    )
    server.until_steps(cluster, ["COMPLETED", "FAILED"], 150)
    good, jar = server.steps(cluster)
    assert_good(server, bucket, cluster, good["Id"])
    assert jar["Status"]["FailureDetails"]["Message"] == (
        "spark-submit: the user of this server, uid-12345, has no name on this machine, and Hadoop asks for it: only "
        "Python scripts can be run. Start the server as a user who has one."
    )
    assert server.stop() == 0
