"""Steps run, are cancelled, and leave their logs where EMR does."""

import time

import pytest
from botocore.exceptions import ClientError

from tests.local.emr.servers import LocalEmr, shell, step


def test_logs(local_emr: LocalEmr, bucket: str) -> None:
    logs = f"s3://{bucket}/logs/"
    cluster = local_emr.run(shell("bad", "echo out; echo KeyError: plum >&2; exit 2"), LogUri=logs)
    local_emr.until_steps(cluster, ["FAILED"])
    (bad,) = local_emr.steps(cluster)
    folder = f"s3://{bucket}/logs/{cluster}/steps/{bad['Id']}"
    assert bad["Status"]["FailureDetails"] == {
        "Reason": "Unknown Error.",
        "Message": "Exit status 2: KeyError: plum",
        "LogFile": f"{folder}/stderr.gz",
    }
    assert local_emr.log(f"{folder}/stdout.gz") == "out\n"
    assert local_emr.log(f"{folder}/stderr.gz") == "KeyError: plum\n"
    assert local_emr.log(f"{folder}/syslog.gz") == ""
    assert "The step ended with 2" in local_emr.log(f"{folder}/controller.gz")


def test_a_log_that_cannot_be_written_fails_no_step(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("good", "true"), LogUri="s3://no-such-bucket-here/logs")
    local_emr.until_steps(cluster, ["COMPLETED"])
    controller = local_emr.step_log(cluster, local_emr.steps(cluster)[0]["Id"], "controller")
    assert "WARN s3://no-such-bucket-here/logs/" in controller
    assert "could not be written" in controller


def test_script_runner(local_emr: LocalEmr, bucket: str) -> None:
    s3 = local_emr.aws.client("s3")
    s3.put_object(
        Bucket=bucket, Key="a b.sh", Body=b"#!/bin/bash\necho $0 $1; pwd\necho ${PYTHONPATH-none} $LOCAL_EMR\n"
    )
    s3.put_object(Bucket=bucket, Key="plain.sh", Body=b"echo plain $EMR_CLUSTER_ID")
    jar = "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar"
    cluster = local_emr.run(
        step("one", f"s3://{bucket}/a b.sh", "x y", jar=jar),
        step("two", f"s3a://{bucket}/plain.sh", jar="script-runner.jar"),
    )
    local_emr.until_steps(cluster, ["COMPLETED"] * 2)
    one, two = (local_emr.step_log(cluster, each["Id"]) for each in local_emr.steps(cluster))
    work = f"{local_emr.data}/clusters/{cluster}/steps"
    assert one.splitlines()[0].endswith("a b.sh x y")
    assert one.splitlines()[1].startswith(work)
    assert one.splitlines()[2] == f"none {local_emr.data}/clusters/{cluster}"
    assert two == f"plain {cluster}\n"


def test_debugging_is_set_up_as_on_emr(local_emr: LocalEmr) -> None:
    old = "s3://eu-west-1.elasticmapreduce/libs/"
    cluster = local_emr.run(
        step("Setup Hadoop Debugging", "state-pusher-script", action="TERMINATE_CLUSTER"),
        step("older", f"{old}state-pusher/0.1/fetch", jar=f"{old}script-runner/script-runner.jar"),
    )
    local_emr.until_steps(cluster, ["COMPLETED"] * 2)


@pytest.mark.parametrize(
    ("args", "jar", "message"),
    [
        (("x",), "s3://bucket/own.jar", "runs command-runner.jar and script-runner.jar, not s3://bucket/own.jar"),
        ((), "command-runner.jar", "needs arguments"),
        (("s3://no-such-bucket-here/x.sh",), "script-runner.jar", "s3://no-such-bucket-here/x.sh could not be fetched"),
        (("/no/such.sh",), "script-runner.jar", "/no/such.sh is no file on this machine"),
        (("spark-submit", "--conf"), "command-runner.jar", "the option --conf lacks its value"),
        (("./no-such-program",), "command-runner.jar", "Exit status 127: ./no-such-program: No such file or directory"),
        (("hadoop-streaming", "-mapper", "x.py"), "command-runner.jar", "There is no hadoop-streaming here: this"),
        (("/usr/bin/hive-script", "--args"), "command-runner.jar", "There is no /usr/bin/hive-script here: this"),
        (("run-example", "SparkPi"), "command-runner.jar", "There is no run-example here: this local EMR runs"),
        (("spark-submit", "/usr/lib/spark/x.jar"), "command-runner.jar", "x.jar is a file of EMR's own machines"),
        (("bash", "-c", "echo 'sudo: no tty' >&2; exit 1"), "command-runner.jar", "no tty. It called sudo, and here"),
    ],
)
def test_what_cannot_run(local_emr: LocalEmr, args: tuple[str, ...], jar: str, message: str) -> None:
    cluster = local_emr.run(step("bad", *args, jar=jar))
    local_emr.until_steps(cluster, ["FAILED"])
    assert message in local_emr.steps(cluster)[0]["Status"]["FailureDetails"]["Message"]


TRAPS = "trap 'echo asked; exit 1' TERM; echo ready; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize(
    ("script", "option", "output"),
    [
        (TRAPS, "SEND_INTERRUPT", "ready\nasked\n"),
        (TRAPS, "TERMINATE_PROCESS", "ready\n"),
        (DEAF, "TERMINATE_PROCESS", "ready\n"),
    ],
)
def test_cancel_a_running_step(local_emr: LocalEmr, script: str, option: str, output: str) -> None:
    cluster = local_emr.run(shell("slow", script), shell("next", "true"))
    local_emr.until_steps(cluster, ["RUNNING", "PENDING"])
    slow = local_emr.steps(cluster)[0]["Id"]
    while "ready" not in local_emr.step_log(cluster, slow):
        time.sleep(0.02)
    answer = local_emr.emr.cancel_steps(ClusterId=cluster, StepIds=[slow], StepCancellationOption=option)
    assert answer["CancelStepsInfoList"] == [{"StepId": slow, "Status": "SUBMITTED"}]
    local_emr.until_steps(cluster, ["CANCELLED", "COMPLETED"])
    assert local_emr.step_log(cluster, slow) == output


def test_cancel_pending_deaf_and_done(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("done", "true"), shell("deaf", DEAF), shell("pending", "true"))
    local_emr.until_steps(cluster, ["COMPLETED", "RUNNING", "PENDING"])
    done, deaf, pending = (each["Id"] for each in local_emr.steps(cluster))
    while "ready" not in local_emr.step_log(cluster, deaf):
        time.sleep(0.02)
    answer = local_emr.emr.cancel_steps(ClusterId=cluster, StepIds=[done, deaf, pending, "s-NONE"])
    infos = {info["StepId"]: info for info in answer["CancelStepsInfoList"]}
    assert infos[deaf]["Status"] == infos[pending]["Status"] == "SUBMITTED"
    assert infos[done]["Reason"] == "The step is COMPLETED: only pending and running steps can be cancelled."
    assert infos["s-NONE"]["Reason"] == "Step id 's-NONE' is not valid."
    assert local_emr.states(cluster) == ["COMPLETED", "CANCEL_PENDING", "CANCELLED"]
    local_emr.emr.cancel_steps(ClusterId=cluster, StepIds=[deaf], StepCancellationOption="TERMINATE_PROCESS")
    local_emr.until_steps(cluster, ["COMPLETED", "CANCELLED", "CANCELLED"])
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    local_emr.until_state(cluster, "TERMINATED")
    with pytest.raises(ClientError, match="only while their cluster lives"):
        local_emr.emr.cancel_steps(ClusterId=cluster, StepIds=[deaf])
