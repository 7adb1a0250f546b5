"""spark-submit steps really run, with what was shipped and nothing else."""

import io
import zipfile
from urllib.error import HTTPError

import pytest

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


def test_spark(local_emr: LocalEmr, bucket: str) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("shipped/__init__.py", "")
        file.writestr("shipped/fruit.py", "NAME = 'plum'")
    for key, body in (("job.py", JOB.encode()), ("code.zip", package.getvalue()), ("labels.txt", b"Kiwi")):
        local_emr.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    def submit(name: str) -> dict[str, object]:
        return step(
            name,
            *("spark-submit", "--master", "yarn", "--deploy-mode", "cluster", "--name", name),
            *("--executor-memory", "4g", "--driver-memory", "600m", "--conf", "spark.test=2"),
            *("--conf", "spark.yarn.appMasterEnv.THEIRS=x", "--py-files", f"s3://{bucket}/code.zip"),
            *("--files", f"s3://{bucket}/labels.txt", f"s3://{bucket}/job.py", name, "s3://bucket/photos"),
        )

    script = step("script", "bash", "-c", "command -v spark-submit; cat $SPARK_CONF_DIR/spark-defaults.conf")
    configurations = [
        {"Classification": "spark-defaults", "Properties": {"spark.test": "1", "spark.driver.memory": "1g"}},
        {
            "Classification": "spark-env",
            "Configurations": [{"Classification": "export", "Properties": {"EXPORTED": "y"}}],
        },
    ]
    cluster = local_emr.run(
        *(submit("good"), submit("bad"), script),
        LogUri=f"s3://{bucket}/logs",
        StepConcurrencyLevel=3,
        Configurations=configurations,
    )
    local_emr.until_steps(cluster, ["COMPLETED", "FAILED", "COMPLETED"], 150)
    good, bad, script_step = local_emr.steps(cluster)
    lines = local_emr.log(f"s3://{bucket}/logs/{cluster}/steps/{good['Id']}/stdout.gz").splitlines()
    assert "names ['plum', 'plum']" in lines
    assert "arguments ['good', 's3://bucket/photos']" in lines
    assert "labels Kiwi Kiwi" in lines
    assert {"spark.app.name good", "spark.driver.memory 600m", "spark.test 2"} <= set(lines)
    assert "spark.executor.memory None" in lines
    (master,) = [line for line in lines if line.startswith("spark.master")]
    assert master.startswith("spark.master local[")
    assert "own None" in lines
    assert "exported y x" in lines
    assert "ERROR" not in local_emr.step_log(cluster, good["Id"], "stderr")
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
