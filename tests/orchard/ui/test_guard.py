"""What the guard refuses, and that it is what Airflow's services cannot hand to one another."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from airflow.sdk.execution_time.comms import _RequestFrame

from orchard.ui.guard import Guard, refused

RUNS = "/api/v2/dags/orchard_daily/dagRuns"
HUGE = 10**20


async def airflow(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was received."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def send(path: str, body: bytes, method: str = "POST") -> httpx.Response:
    async def parts() -> Any:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(Guard(airflow)), base_url="http://airflow"
        ) as client:
            return await client.request(method, path, content=parts())

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("conf", "name"),
    [
        ({"Limit": HUGE}, "conf.Limit"),
        ({"note": {"deep": [1, {"er": -HUGE}]}}, "conf.note.deep[1].er"),
        ({"extractor": "\ud800"}, "conf.extractor"),
        ({"\ud800": 1}, r"conf.\ud800"),
        ({"variance": float("nan")}, "conf.variance"),
        ({"Rate": float("inf")}, "conf.Rate"),
    ],
)
def test_what_no_service_of_airflow_could_hand_on(conf: dict[str, Any], name: str) -> None:
    answer = send(RUNS, json.dumps({"logical_date": None, "conf": conf}).encode())
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{name}: got ")
    assert answer.json()["detail"].endswith("Expected text, or a number of at most 64 bits; no run was made.")


@pytest.mark.parametrize("value", [HUGE, -HUGE, "\ud800"])
def test_airflow_itself_could_not(value: Any) -> None:
    """Should this ever pass, the guard has less to do."""
    with pytest.raises((OverflowError, UnicodeEncodeError)):
        _RequestFrame(id=0, body={"dag_run": {"conf": {"Limit": value}}}).as_bytes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{no JSON",
        json.dumps({"conf": {"limit": 2**63, "note": "Äpfel", "variance": 0.5, "prefixes": [None, True]}}).encode(),
    ],
)
def test_all_else_passes_as_it_is(body: bytes) -> None:
    assert send(RUNS, body).content == body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/airflow" + RUNS, 422),  # an Airflow that is not at the top of its host
        ("POST", "/api/v2/dags/somebodys/dagRuns", 422),
        ("POST", "/api/v2/backfills", 422),
        ("POST", "/api/v2/backfills/dry_run", 422),
        ("POST", "/api/v2/assets/7/materialize", 422),
        ("POST", "/api/v2/variables", 200),
        ("PATCH", RUNS + "/r1", 200),
    ],
)
def test_where_it_stands(method: str, path: str, status: int) -> None:
    assert send(path, json.dumps({"conf": {"Limit": HUGE}}).encode(), method).status_code == status


def test_it_says_all_in_a_line() -> None:
    assert refused(b'{"conf": {"Limit": 100000000000000000000}}') == (
        "conf.Limit: got 100000000000000000000, which Airflow's services could not hand to one another (can't "
        "serialize ints < -2**63 or > 2**64 - 1). Expected text, or a number of at most 64 bits; no run was made."
    )
