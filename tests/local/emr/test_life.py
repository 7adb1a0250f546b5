"""Clusters live as EMR's do."""

from pathlib import Path

import pytest

from tests.local.emr.servers import LocalEmr, shell


def test_a_cluster_that_ends_with_its_steps(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("one", "echo one"), shell("two", "exit 3"), keep=False)
    status = local_emr.until_state(cluster, "TERMINATED")
    assert status["StateChangeReason"] == {"Code": "ALL_STEPS_COMPLETED", "Message": "Steps completed with errors"}
    timeline = status["Timeline"]
    assert timeline["CreationDateTime"] <= timeline["ReadyDateTime"] <= timeline["EndDateTime"]
    one, two = local_emr.steps(cluster)
    assert (one["Status"]["State"], two["Status"]["State"]) == ("COMPLETED", "FAILED")
    first, second = one["Status"]["Timeline"], two["Status"]["Timeline"]
    assert timeline["ReadyDateTime"] <= first["StartDateTime"] <= first["EndDateTime"] <= second["StartDateTime"]
    assert local_emr.cluster(cluster)["AutoTerminate"] is True


def test_all_states(local_emr: LocalEmr) -> None:
    cluster = local_emr.run()
    status = local_emr.until_state(cluster, "WAITING")
    assert status["StateChangeReason"] == {"Message": "Cluster ready to run steps."}
    local_emr.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[shell("slow", "sleep 0.3")])
    local_emr.until_state(cluster, "RUNNING")
    status = local_emr.until_state(cluster, "WAITING")
    assert status["StateChangeReason"] == {"Message": "Cluster ready after last step completed."}
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    status = local_emr.until_state(cluster, "TERMINATED")
    assert status["StateChangeReason"] == {"Code": "USER_REQUEST", "Message": "Terminated by user request"}
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])  # once more does no harm


@pytest.mark.parametrize("action", ["TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"])
def test_a_failure_ends_the_cluster(local_emr: LocalEmr, action: str) -> None:
    cluster = local_emr.run(shell("bad", "echo no bananas >&2; exit 1", action), shell("next", "true"))
    status = local_emr.until_state(cluster, "TERMINATED_WITH_ERRORS")
    assert status["StateChangeReason"] == {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}
    assert local_emr.states(cluster) == ["FAILED", "CANCELLED"]
    details = local_emr.steps(cluster)[0]["Status"]["FailureDetails"]
    assert details == {"Reason": "Unknown Error.", "Message": "Exit status 1: no bananas"}


def test_a_failure_cancels_and_waits(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("bad", "exit 1", "CANCEL_AND_WAIT"), shell("next", "true"))
    local_emr.until_state(cluster, "WAITING")
    assert local_emr.states(cluster) == ["FAILED", "CANCELLED"]
    local_emr.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[shell("later", "true")])
    local_emr.until_steps(cluster, ["FAILED", "CANCELLED", "COMPLETED"])


def test_a_failure_continues(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("bad", "exit 1"), shell("next", "true"))
    local_emr.until_steps(cluster, ["FAILED", "COMPLETED"])
    assert local_emr.until_state(cluster, "WAITING")


def test_protection(local_emr: LocalEmr) -> None:
    bad = shell("bad", "exit 1", "TERMINATE_CLUSTER")
    cluster = local_emr.run(bad, shell("next", "true"), More={"TerminationProtected": True})
    other = local_emr.run()
    local_emr.until_state(cluster, "WAITING")  # it does not end with the step
    assert local_emr.states(cluster) == ["FAILED", "CANCELLED"]
    with pytest.raises(Exception, match="Could not shut down one or more job flows since they are termination prot"):
        local_emr.emr.terminate_job_flows(JobFlowIds=[cluster, other])
    assert local_emr.state(cluster) == "WAITING"
    local_emr.until_state(other, "TERMINATED")
    local_emr.emr.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=False)
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    local_emr.until_state(cluster, "TERMINATED")


def test_several_steps_at_once(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(*(shell(str(n), "sleep 60") for n in range(3)), StepConcurrencyLevel=2)
    local_emr.until_steps(cluster, ["RUNNING", "RUNNING", "PENDING"])
    assert local_emr.emr.modify_cluster(ClusterId=cluster, StepConcurrencyLevel=3)["StepConcurrencyLevel"] == 3
    local_emr.until_steps(cluster, ["RUNNING"] * 3)
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    assert local_emr.until_state(cluster, "TERMINATED")
    assert local_emr.states(cluster) == ["INTERRUPTED"] * 3


def test_terminated_while_a_step_runs(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("slow", "sleep 60"), shell("next", "true"))
    local_emr.until_steps(cluster, ["RUNNING", "PENDING"])
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    assert local_emr.state(cluster) in ("TERMINATING", "TERMINATED")
    local_emr.until_state(cluster, "TERMINATED")
    assert local_emr.states(cluster) == ["INTERRUPTED", "CANCELLED"]


def test_idle_time_out(local_emr: LocalEmr) -> None:
    policy = {"IdleTimeout": 60}  # one second here
    cluster = local_emr.run(shell("one", "sleep 1.2"), AutoTerminationPolicy=policy)
    local_emr.until_steps(cluster, ["COMPLETED"])  # a step is not idle
    status = local_emr.until_state(cluster, "TERMINATED")
    assert "idle for 60 seconds" in status["StateChangeReason"]["Message"]
    idle = status["Timeline"]["EndDateTime"] - local_emr.steps(cluster)[0]["Status"]["Timeline"]["EndDateTime"]
    assert 0.9 < idle.total_seconds() < 10


def test_idle_time_out_put_later(local_emr: LocalEmr) -> None:
    cluster = local_emr.run()
    local_emr.until_state(cluster, "WAITING")
    local_emr.emr.put_auto_termination_policy(ClusterId=cluster, AutoTerminationPolicy={"IdleTimeout": 60})
    local_emr.until_state(cluster, "TERMINATED")


def test_keep_alive_changed(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("one", "true"))
    local_emr.until_state(cluster, "WAITING")
    local_emr.emr.set_keep_job_flow_alive_when_no_steps(JobFlowIds=[cluster], KeepJobFlowAliveWhenNoSteps=False)
    status = local_emr.until_state(cluster, "TERMINATED")
    assert status["StateChangeReason"] == {"Code": "ALL_STEPS_COMPLETED", "Message": "Steps completed"}


def test_a_step_leaves_no_process(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("daemon", "setsid sleep 300 & echo $!; disown; exit 0"))
    local_emr.until_steps(cluster, ["COMPLETED"])
    pid = local_emr.step_log(cluster, local_emr.steps(cluster)[0]["Id"]).strip()
    assert not Path("/proc", pid).exists()
