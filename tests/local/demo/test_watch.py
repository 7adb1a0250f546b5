import json
from collections.abc import Iterable
from typing import Any

import pytest

from local.demo import watch
from local.demo.screen import Screen
from local.demo.watch import RunFailedError, Watch
from local.standalone import AirflowError

PLAN = {
    "listed": 12, "added": 10, "changed": 1, "deleted": 1, "why": "photos were added",
    "core_nodes": 2, "instance_type": "m5.xlarge", "seconds": 480.0, "dollars": 0.07,
}  # fmt: skip


class FakeClient:
    """An Airflow whose run goes through given states, one a look."""

    url = "http://localhost:8080"

    def __init__(self, state: str, looks: Iterable[dict[str, str | None]], **xcoms: Any) -> None:
        self.state, self.looks, self.xcoms = state, iter(looks), xcoms

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return {"state": self.state}

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        look = next(self.looks)
        if not look:
            raise AirflowError("database is locked")
        return {
            name: {"task_id": name, "state": state, "try_number": 1, "start_date": state and "1", "end_date": state}
            for name, state in look.items()
        }

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        return self.xcoms[task_id]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> str:
        events = [
            {"event": "two\nlines"},
            {"event": "it failed", "error_detail": [{"exc_type": "E", "exc_value": "no"}]},
        ]
        return "\n".join(map(json.dumps, events))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.0)


def follow(client: Any) -> None:
    Watch(client, Screen(), lambda: None).follow("day-1")


def test_tasks_are_told_once_as_they_end(capsys: pytest.CaptureFixture[str]) -> None:
    looks = [
        {"find_new_photos": "running", "extract": None, "report": None},
        {},  # Airflow did not answer
        {"find_new_photos": "success", "extract": "deferred", "report": None},
        {"find_new_photos": "success", "extract": "success", "report": "skipped"},
    ]
    follow(FakeClient("success", looks, find_new_photos=PLAN))
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "find_new_photos      done     0 s",
        "12 photos listed: 10 new, 1 changed, 1 deleted",
        "rents 1 primary and 2 core m5.xlarge; on AWS it would take 8 minutes, $0.07",
        "extract              done     0 s",
        "skipped: report",
    ]


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    follow(FakeClient("success", [{"find_new_photos": "success"}], find_new_photos=PLAN | {"why": None}))
    assert "nothing to do: no cluster is rented" in capsys.readouterr().out


def test_a_failed_run_tells_why(capsys: pytest.CaptureFixture[str]) -> None:
    looks = [{"extract": "up_for_retry", "report": None}, {"extract": "failed", "report": "upstream_failed"}]
    with pytest.raises(RunFailedError) as failed:
        follow(FakeClient("failed", looks))
    said = capsys.readouterr().out
    assert "extract failed, and is tried again soon." in said
    assert "report               UPSTREAM_FAILED" in said
    for text in (said, str(failed.value)):
        assert "http://localhost:8080/dags/orchard_daily/runs/day-1/tasks/extract" in text
        assert "         | two\n         | lines\n         | it failed\n         | E: no" in text


def test_an_airflow_that_died_is_not_waited_for() -> None:
    def died() -> None:
        raise RuntimeError("it has ended")

    with pytest.raises(RuntimeError, match="it has ended"):
        Watch(FakeClient("running", []), Screen(), died).follow("day-1")  # type: ignore[arg-type]
