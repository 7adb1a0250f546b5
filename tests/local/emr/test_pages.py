"""Pages for people, and for tests."""

import json
import time
from urllib.error import HTTPError

import pytest

from tests.local.emr.servers import LocalEmr, shell


def test_clusters_and_steps(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("<b>bold</b>", "echo 'ValueError: <i>plum</i>' >&2; exit 1"), Name="a & b")
    local_emr.until_steps(cluster, ["FAILED"])
    step = local_emr.steps(cluster)[0]["Id"]
    front = local_emr.get("/")
    assert f'href="/clusters/{cluster}"' in front
    assert "a &amp; b" in front
    page = local_emr.get(f"/clusters/{cluster}")
    assert f'href="/clusters/{cluster}/steps/{step}/stderr"' in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "ValueError: &lt;i&gt;plum&lt;/i&gt;" in page
    assert "<i>" not in page
    assert local_emr.get(f"/clusters/{cluster}/steps/{step}/stderr") == "ValueError: <i>plum</i>\n"


def test_a_log_while_it_is_written(local_emr: LocalEmr) -> None:
    cluster = local_emr.run(shell("slow", "echo here; sleep 300"), shell("next", "true"))
    local_emr.until_steps(cluster, ["RUNNING", "PENDING"])
    slow, waiting = (each["Id"] for each in local_emr.steps(cluster))
    while local_emr.step_log(cluster, slow) != "here\n":
        time.sleep(0.02)
    assert local_emr.step_log(cluster, waiting) == ""
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])


@pytest.mark.parametrize(
    "path", ["/clusters/j-NONE", "/clusters/{}/steps/s-NONE/stdout", "/clusters/{}/bootstrap-actions/1/..%2Fx"]
)
def test_what_is_not_there(local_emr: LocalEmr, path: str) -> None:
    cluster = local_emr.run(keep=False)
    with pytest.raises(HTTPError, match="404") as caught:
        local_emr.get(path.format(cluster))
    caught.value.close()


def test_for_tests(local_emr: LocalEmr) -> None:
    assert json.loads(local_emr.get("/_health")) == {"status": "ok"}
    cluster = local_emr.run(shell("one", "true"), keep=False)
    local_emr.until_state(cluster, "TERMINATED")
    (found,) = [each for each in json.loads(local_emr.get("/_clusters")) if each["id"] == cluster]
    assert (found["state"], found["code"]) == ("TERMINATED", "ALL_STEPS_COMPLETED")
    assert [step["state"] for step in found["steps"]] == ["COMPLETED"]


def test_web_pages_may_only_read(local_emr: LocalEmr) -> None:
    for method, path in (("POST", "/"), ("POST", "/_faults"), ("DELETE", "/_faults")):
        status, body = local_emr.send(method, path, [], {"Origin": "http://rebound.example"})
        assert (status, body["message"]) == (403, "The local EMR takes no requests from web pages.")
