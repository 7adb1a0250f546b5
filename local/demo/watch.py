"""Watch: a DAG run's tasks as they go, for a person at a terminal."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from local.demo.screen import Screen
from local.standalone import AirflowError, Client

DAG = "orchard_daily"
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 120.0  # an API server that shares two cores with Spark may be slow to answer
_LOG_LINES = 30
_OVER = ("success", "failed", "skipped", "upstream_failed", "removed")


class RunFailedError(RuntimeError):
    """A DAG run did not succeed; with what can be known of why."""


class Watch:
    """Follows the runs of one Airflow.

    Parameters
    ----------
    check : callable
        Raises when something that the run needs has died.
    """

    def __init__(self, client: Client, screen: Screen, check: Callable[[], None]) -> None:
        self._client, self._screen, self._check = client, screen, check

    def follow(self, run_id: str) -> None:
        """Show a run until it has ended.

        Raises
        ------
        RunFailedError
        """
        began: dict[str, float] = {}
        told: set[tuple[str, str, int]] = set()
        while True:
            self._check()
            tasks = self._patiently(lambda: self._client.tasks(DAG, run_id))
            for name, one in sorted(tasks.items(), key=lambda item: item[1]["end_date"] or "9"):
                if one["start_date"]:
                    began.setdefault(name, time.monotonic())
                key = (name, one["state"], one["try_number"])
                if one["state"] in (*_OVER, "up_for_retry") and key not in told:
                    told.add(key)
                    self._tell(run_id, one, time.monotonic() - began.get(name, time.monotonic()))
            if all(one["state"] in _OVER for one in tasks.values()):
                state = self._patiently(lambda: self._client.run(DAG, run_id)["state"])
                if state in ("success", "failed"):
                    break
            now = time.monotonic()
            going = [name for name, one in tasks.items() if one["state"] not in (None, *_OVER)]
            if going:
                self._screen.show("       … " + ", ".join(f"{n} {now - began.get(n, now):.0f} s" for n in going))
            time.sleep(_POLL_SECONDS)
        self._screen.show("")
        if skipped := [name for name, one in tasks.items() if one["state"] == "skipped"]:
            self._screen.say(f"       skipped: {', '.join(skipped)}")
        if state == "failed":
            raise RunFailedError(self._why(run_id, tasks))

    def _tell(self, run_id: str, task: Mapping[str, Any], seconds: float) -> None:
        name, state = task["task_id"], task["state"]
        if state == "up_for_retry":
            self._screen.say(f"       {name} failed, and is tried again soon. {self._log(run_id, task)}")
        elif state != "skipped":
            mark = "done" if state == "success" else state.upper()
            self._screen.say(f"       {name:<20} {mark}  {seconds:4.0f} s")
        if name == "find_new_photos" and state == "success":
            self._screen.say(_plan(self._patiently(lambda: self._client.xcom(DAG, run_id, name))))

    def _why(self, run_id: str, tasks: Mapping[str, Mapping[str, Any]]) -> str:
        failed = [one for one in tasks.values() if one["state"] == "failed"]
        if not failed:
            return f"Run {run_id} failed; no task of it did. See {self._client.url}/dags/{DAG}/runs/{run_id}"
        return f"Run {run_id} failed in {', '.join(one['task_id'] for one in failed)}. {self._log(run_id, failed[0])}"

    def _log(self, run_id: str, task: Mapping[str, Any]) -> str:
        name, attempt = task["task_id"], max(1, task["try_number"])
        lines = _read(self._patiently(lambda: self._client.log(DAG, run_id, name, attempt)))
        text = "\n".join(f"         | {line}" for line in lines[-_LOG_LINES:])
        return f"The end of {name}'s log ({self._client.url}/dags/{DAG}/runs/{run_id}/tasks/{name}):\n{text}"

    def _patiently(self, call: Callable[[], Any]) -> Any:
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return call()
            except (httpx.TransportError, AirflowError):
                self._check()
                if time.monotonic() >= until:
                    raise
                time.sleep(_POLL_SECONDS)


def _plan(plan: Mapping[str, Any]) -> str:
    """Say what a run is going to do; `orchard.plan` says more, and would load Airflow for it."""
    photos = (
        f"         {plan['listed']:,} photos listed: {plan['added']:,} new, {plan['changed']:,} changed, "
        f"{plan['deleted']:,} deleted"
    )
    if plan["why"] is None:
        return f"{photos}\n         nothing to do: no cluster is rented"
    cost = "" if plan["dollars"] is None else f", ${plan['dollars']:.2f}"
    return (
        f"{photos}\n         rents 1 primary and {plan['core_nodes']} core {plan['instance_type']}; "
        f"on AWS it would take {plan['seconds'] / 60:.0f} minutes{cost}"
    )


def _read(log: str) -> list[str]:
    """Make lines of a task's log, which is a JSON object a line."""
    lines: list[str] = []
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            lines.append(line)
            continue
        if not isinstance(entry, dict):
            continue
        lines += str(entry.get("event", "")).splitlines()
        for error in entry.get("error_detail") or []:
            lines.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
    return lines
