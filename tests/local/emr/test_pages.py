"""Pages for people, and for tests."""

import json
import re
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

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


def browse(server: LocalEmr, path: str) -> str:
    with urlopen(Request(f"{server.url}{path}", headers={"Accept": "text/html,*/*"}), timeout=30) as answer:
        return str(answer.read().decode())


def contrast(colour: str) -> float:
    """Compute the contrast on white, as WCAG 2 does."""
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 1.05 / (sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) + 0.05)


def test_what_a_person_sees(local_emr: LocalEmr) -> None:
    assert 4.4 < contrast("#777") < 4.5  # known: just too pale
    cluster = local_emr.run(shell("bad", "echo '<i>plum</i>' >&2; exit 1"), Name="lively")
    local_emr.until_steps(cluster, ["FAILED"])
    step = local_emr.steps(cluster)[0]["Id"]
    front, page = browse(local_emr, "/"), browse(local_emr, f"/clusters/{cluster}")
    log = browse(local_emr, f"/clusters/{cluster}/steps/{step}/stderr")
    colours = re.findall(r"[ ;{]color: (#\w+)", page)
    assert len(colours) == 5
    assert min(map(contrast, colours)) >= 4.5
    assert "<pre>&lt;i&gt;plum&lt;/i&gt;\n</pre>" in log
    assert f'<a href="/clusters/{cluster}">lively</a>' in log
    assert f'<a href="/clusters/{cluster}/steps/{step}/stdout">stdout</a>' in log
    assert '<a href="/">All clusters</a>' in page
    for each in (front, page):
        assert '<th scope="col">Reason</th></tr>' in each
        assert 'data-head="Reason"' in each  # where a row is a block
    for each in (front, page, log):
        assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in each
        assert "<script>" in each  # it follows what happens
    local_emr.emr.terminate_job_flows(JobFlowIds=[cluster])
    local_emr.until_state(cluster, "TERMINATED")
    for path in (f"/clusters/{cluster}", f"/clusters/{cluster}/steps/{step}/stderr"):
        assert "<script>" not in browse(local_emr, path)


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
