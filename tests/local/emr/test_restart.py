"""The server survives its end, and nothing that it started does."""

import os
import signal
from pathlib import Path

from local.emr.runner import RESTARTED
from tests.conftest import Aws
from tests.local.emr.servers import REPOSITORY, LocalEmr, shell, step, until
from tests.local.emr.test_watchdog import alive

# A Python worker of Spark that is busy, and that says who it is.
SPARK_STEP = """
import os, time
from pyspark.sql import SparkSession

def busy(_):
    print("ids", os.getppid(), os.getpid(), flush=True)
    open(os.environ["LOCAL_EMR"] + "/workers", "a").write(f"{os.getppid()}\\n{os.getpid()}\\n")
    time.sleep(300)
    return _

SparkSession.builder.getOrCreate().sparkContext.range(2, numSlices=2).map(busy).collect()
"""


def family(folder: Path) -> list[int]:
    """Find all processes that run in a folder, or below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")).is_relative_to(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_killed_while_spark_runs_and_started_again(aws: Aws, bucket: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    aws.client("s3").put_object(Bucket=bucket, Key="job.py", Body=SPARK_STEP.encode())
    server = LocalEmr(aws, data)
    submit = step("spark", "spark-submit", "--deploy-mode", "cluster", f"s3://{bucket}/job.py")
    waits = server.run(shell("done", "true"), submit, shell("next", "echo next"), LogUri=f"s3://{bucket}/logs")
    ends = server.run(shell("slow", "sleep 300 & sleep 300", action="TERMINATE_CLUSTER"), shell("next", "true"))
    workers = data / "clusters" / waits / "workers"
    until(lambda: workers.exists() and len(workers.read_text().split()) == 4, 120)
    pids = family(data)
    assert len(pids) >= 7  # JVM, driver, Spark's daemon, two workers, two sleeps
    assert set(map(int, workers.read_text().split())) <= set(pids)

    server.stop(signal.SIGKILL)
    until(lambda: alive(pids) == [], 20)

    server = LocalEmr(aws, data)
    server.until_steps(waits, ["COMPLETED", "FAILED", "COMPLETED"])
    assert server.until_state(waits, "WAITING")
    spark = server.steps(waits)[1]
    assert spark["Status"]["FailureDetails"]["Message"] == RESTARTED
    until(lambda: server.state(ends) == "TERMINATED_WITH_ERRORS")
    assert server.states(ends) == ["FAILED", "CANCELLED"]
    controller = f"s3://{bucket}/logs/{waits}/steps/{spark['Id']}/controller.gz"
    assert RESTARTED in server.log(controller)
    assert server.stop() == 0


def test_stopped_and_started_again(aws: Aws, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = LocalEmr(aws, data)
    cluster = server.run(shell("slow", "sleep 300"), Tags=[{"Key": "run", "Value": "r1"}], StepConcurrencyLevel=2)
    gone = server.run(keep=False)
    server.until_state(gone, "TERMINATED")
    server.until_steps(cluster, ["RUNNING"])
    before = server.cluster(cluster)
    assert server.stop() == 0
    assert family(data) == []
    server = LocalEmr(aws, data)
    server.until_steps(cluster, ["FAILED"])
    server.until_state(cluster, "WAITING")
    after = server.cluster(cluster)
    for member in ("Name", "Tags", "StepConcurrencyLevel", "ClusterArn", "Applications"):
        assert after[member] == before[member]
    assert after["Status"]["Timeline"] == before["Status"]["Timeline"]
    assert server.state(gone) == "TERMINATED"
    assert server.stop(signal.SIGINT) == 0


def test_bootstrap_is_done_again(aws: Aws, bucket: str, tmp_path: Path) -> None:
    aws.client("s3").put_object(
        Bucket=bucket, Key="slow.sh", Body=b"echo $(ls) >> ../times; [ $(wc -l < ../times) -gt 1 ] || sleep 300"
    )
    data = tmp_path / "data"
    server = LocalEmr(aws, data)
    action = {"Name": "slow", "ScriptBootstrapAction": {"Path": f"s3://{bucket}/slow.sh"}}
    cluster = server.run(shell("one", "true"), BootstrapActions=[action])
    until((data / "clusters" / cluster / "times").exists)
    server.stop(signal.SIGKILL)
    server = LocalEmr(aws, data)
    server.until_steps(cluster, ["COMPLETED"])
    assert server.stop() == 0


def test_nothing_of_the_repository_is_touched() -> None:
    assert not (REPOSITORY / ".emr").exists()
