"""Bootstrap actions run before the steps, and end the cluster when they fail."""

from typing import Any

import pytest

from tests.local.emr.servers import LocalEmr, shell


def action(name: str, path: str, *args: str) -> dict[str, Any]:
    return {"Name": name, "ScriptBootstrapAction": {"Path": path, "Args": list(args)}}


def test_in_their_order_in_a_folder_of_the_cluster(local_emr: LocalEmr, bucket: str) -> None:
    local_emr.aws.client("s3").put_object(Bucket=bucket, Key="install.sh", Body=b"echo $1 >> made; cat made\n")
    actions = [action(name, f"s3://{bucket}/install.sh", name) for name in ("one", "two")]
    cluster = local_emr.run(
        shell("see", 'cat "$LOCAL_EMR/node/made"'), BootstrapActions=actions, LogUri=f"s3://{bucket}/logs"
    )
    local_emr.until_steps(cluster, ["COMPLETED"])
    assert local_emr.step_log(cluster, local_emr.steps(cluster)[0]["Id"]) == "one\ntwo\n"
    (instance,) = local_emr.emr.list_instances(ClusterId=cluster)["Instances"]
    folder = f"s3://{bucket}/logs/{cluster}/node/{instance['Ec2InstanceId']}/bootstrap-actions"
    assert local_emr.log(f"{folder}/1/stdout.gz") == "one\n"
    assert local_emr.log(f"{folder}/2/stdout.gz") == "one\ntwo\n"
    assert local_emr.get(f"/clusters/{cluster}/bootstrap-actions/2/stdout") == "one\ntwo\n"
    listed = local_emr.emr.list_bootstrap_actions(ClusterId=cluster)["BootstrapActions"]
    assert listed[1] == {"Name": "two", "ScriptPath": f"s3://{bucket}/install.sh", "Args": ["two"]}


SUDO = (
    ". It called sudo, and here it runs as you and not as root: let the script leave out what it installs into the "
    "system when LOCAL_EMR is set."
)


@pytest.mark.parametrize(("says", "hint"), [("no disk", ""), ("sudo: a password is required", SUDO)])
def test_a_failure_ends_the_cluster(local_emr: LocalEmr, bucket: str, says: str, hint: str) -> None:
    script = f"echo '{says}' >&2; exit 1\n"
    local_emr.aws.client("s3").put_object(Bucket=bucket, Key="install.sh", Body=script.encode())
    actions = [action("one", f"s3://{bucket}/install.sh"), action("two", f"s3://{bucket}/install.sh")]
    cluster = local_emr.run(shell("never", "true"), BootstrapActions=actions, LogUri=f"s3://{bucket}/logs")
    status = local_emr.until_state(cluster, "TERMINATED_WITH_ERRORS")
    (instance,) = local_emr.emr.list_instances(ClusterId=cluster)["Instances"]
    where = f"On the master instance ({instance['Ec2InstanceId']}), bootstrap action 1"
    assert status["StateChangeReason"] == {
        "Code": "BOOTSTRAP_FAILURE",
        "Message": f"{where} returned a non-zero return code{hint}",
    }
    assert "ReadyDateTime" not in status["Timeline"]
    assert local_emr.states(cluster) == ["CANCELLED"]


def test_one_that_is_not_there(local_emr: LocalEmr, bucket: str) -> None:
    cluster = local_emr.run(BootstrapActions=[action("one", f"s3://{bucket}/none.sh")])
    status = local_emr.until_state(cluster, "TERMINATED_WITH_ERRORS")
    assert f"s3://{bucket}/none.sh could not be fetched" in status["StateChangeReason"]["Message"]


def test_terminated_while_one_runs(local_emr: LocalEmr, bucket: str) -> None:
    local_emr.aws.client("s3").put_object(Bucket=bucket, Key="slow.sh", Body=b"sleep 60\n")
    cluster = local_emr.run(BootstrapActions=[action("one", f"s3://{bucket}/slow.sh")])
    local_emr.until_state(cluster, "BOOTSTRAPPING")
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    local_emr.until_state(cluster, "TERMINATED")
