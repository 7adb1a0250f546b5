"""What a test wants to go wrong goes wrong."""

import time

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from local.emr.faults import Fault, Faults
from tests.local.emr.servers import LocalEmr, shell


@pytest.mark.parametrize(
    ("do", "code", "message"),
    [
        ("throttle", "ThrottlingException", "Rate exceeded"),
        ("error", "InternalServerException", "internal error"),
        ("deny", "AccessDeniedException", "not authorized"),
    ],
)
def test_calls_that_are_refused(local_emr: LocalEmr, do: str, code: str, message: str) -> None:
    with local_emr.faults({"call": "List.*", "do": do, "times": 1}):
        with pytest.raises(ClientError, match=message) as caught:
            local_emr.emr.list_clusters()
        assert caught.value.response["Error"]["Code"] == code
        local_emr.emr.list_clusters()


@pytest.mark.parametrize(("when", "done"), [("before", 0), ("after", 1)])
def test_an_answer_that_is_lost(local_emr: LocalEmr, when: str, done: int) -> None:
    name = f"lost {when}"
    with (
        local_emr.faults({"call": "RunJobFlow", "do": "drop", "when": when, "times": 1}),
        pytest.raises(ConnectionClosedError),
    ):
        local_emr.run(Name=name)
    found = [each["Id"] for each in local_emr.emr.list_clusters()["Clusters"] if each["Name"] == name]
    assert len(found) == done
    if found:
        local_emr.emr.terminate_job_flows(JobFlowIds=found)


def test_refused_after_it_was_done(local_emr: LocalEmr) -> None:
    cluster = local_emr.run()
    rule = {"call": "AddTags", "do": "error", "when": "after", "message": "who knows"}
    with local_emr.faults(rule), pytest.raises(ClientError, match="who knows"):
        local_emr.emr.add_tags(ResourceId=cluster, Tags=[{"Key": "a", "Value": "b"}])
    assert local_emr.cluster(cluster)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_slow_call(local_emr: LocalEmr) -> None:
    start = time.monotonic()
    with local_emr.faults({"call": "ListClusters", "do": "delay", "seconds": 0.4}):
        local_emr.emr.list_clusters()
    assert time.monotonic() - start >= 0.4


def test_steps(local_emr: LocalEmr) -> None:
    rules = (
        {"step": "fail.*", "do": "fail", "message": "no power"},
        {"step": "kill", "do": "kill", "seconds": 0.1},
        {"step": "delay", "do": "delay", "seconds": 0.4},
    )
    with local_emr.faults(*rules):
        names = ("failing", "kill", "delay", "other")
        cluster = local_emr.run(*(shell(name, "sleep 1000" if name == "kill" else "true") for name in names))
        local_emr.until_steps(cluster, ["FAILED", "FAILED", "COMPLETED", "COMPLETED"])
    failing, kill, delay, _ = (each["Status"] for each in local_emr.steps(cluster))
    assert failing["FailureDetails"]["Message"] == "no power"
    assert kill["FailureDetails"]["Message"] == "Exit status 137; it wrote no error."
    assert (delay["Timeline"]["EndDateTime"] - delay["Timeline"]["StartDateTime"]).total_seconds() >= 0.4


def test_what_is_delayed_goes_on_when_the_rule_is_forgotten(local_emr: LocalEmr) -> None:
    with local_emr.faults({"step": "slow", "do": "delay", "seconds": 300}):
        cluster = local_emr.run(shell("slow", "true"))
        local_emr.until_steps(cluster, ["RUNNING"])
    local_emr.until_steps(cluster, ["COMPLETED"])


def test_a_step_cancelled_before_its_process_is_there(local_emr: LocalEmr) -> None:
    with local_emr.faults({"step": "slow", "do": "delay", "seconds": 300}):
        cluster = local_emr.run(shell("slow", "true"), shell("next", "true"))
        local_emr.until_steps(cluster, ["RUNNING", "PENDING"])
        local_emr.emr.cancel_steps(ClusterId=cluster, StepIds=[local_emr.steps(cluster)[0]["Id"]])
        local_emr.until_steps(cluster, ["CANCELLED", "COMPLETED"])


def test_clusters_and_bootstrap_actions(local_emr: LocalEmr) -> None:
    running = local_emr.run(shell("slow", "sleep 300"), Name="doomed one")
    local_emr.until_steps(running, ["RUNNING"])
    action = {"Name": "install", "ScriptBootstrapAction": {"Path": "/bin/true"}}
    rules = (
        {"cluster": "doomed .*", "do": "terminate_with_errors"},
        {"bootstrap": "install", "do": "fail"},
    )
    with local_emr.faults(*rules):
        created = local_emr.run(Name="doomed two")
        bootstrapped = local_emr.run(BootstrapActions=[action])
        for cluster in (running, created):
            status = local_emr.until_state(cluster, "TERMINATED_WITH_ERRORS")
            assert status["StateChangeReason"]["Code"] == "INSTANCE_FAILURE"
        status = local_emr.until_state(bootstrapped, "TERMINATED_WITH_ERRORS")
        assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    assert local_emr.states(running) == ["CANCELLED"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"do": "fail"}, "names one of call, step, bootstrap, cluster; this one has do"),
        ({"call": "x", "do": "melt"}, "A call can throttle, error, deny, delay, drop, not 'melt'"),
        ({"call": "x", "do": "error", "whenn": "after"}, "A fault has no whenn"),
        ({"call": "x", "do": "error", "when": "never"}, "expected 'before' or 'after'"),
        ({"call": "(", "do": "error"}, "no regular expression"),
        ({"call": "x", "do": "error", "times": "1"}, "times is '1', expected a number"),
        ({"cluster": "x", "do": "terminate_with_errors", "code": "BAD"}, "code is 'BAD'"),
        (3, "A fault is a JSON object, not 3"),
    ],
)
def test_rules_that_make_no_sense(local_emr: LocalEmr, rule: object, message: str) -> None:
    status, body = local_emr.send("POST", "/_faults", [{"call": "List.*", "do": "error"}, rule])
    assert status == 400
    assert message in body["message"]
    local_emr.emr.list_clusters()  # none of them was taken


def test_chance_is_the_same_each_time() -> None:
    def happened(seed: int) -> list[bool]:
        faults = Faults(seed, 0.0)
        faults.add([Fault("call", ".*", "error", share=0.3)])
        return [faults.take("call", "x") is not None for _ in range(300)]

    assert happened(1) == happened(1) != happened(2)
    assert 60 < sum(happened(1)) < 120


def test_throttling() -> None:
    faults = Faults(3, throttle=0.5)
    taken = [faults.take("call", "ListClusters") for _ in range(100)]
    assert {fault.do for fault in taken if fault} == {"throttle"}
    assert 30 < sum(fault is not None for fault in taken) < 70
    assert faults.take("step", "one") is None
