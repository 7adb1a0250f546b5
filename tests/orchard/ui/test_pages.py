"""Who may see the pages; what they show is in the end-to-end tests."""

import asyncio
import warnings
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

with warnings.catch_warnings():  # of what Airflow imports
    warnings.simplefilter("ignore")
    from airflow.api_fastapi.core_api.security import get_user

    from orchard.ui import pages

from tests.plans import settings

PATHS = ["/reports/r1", "/spark-ui/j-1"]


def answer(path: str, accept: str = "*/*") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(pages.app), base_url="http://airflow") as client:
            return await client.get(path, headers={"accept": accept})

    return asyncio.run(ask())


def get(path: str) -> int:
    return answer(path).status_code


@pytest.mark.parametrize("path", PATHS)
def test_nobody_without_a_log_in(path: str) -> None:
    assert get(path) == 401


@pytest.mark.parametrize("path", PATHS)
def test_nor_anybody_who_may_not_see_the_dag(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def is_authorized_dag(*, method: str, details: Any, user: str) -> bool:
        asked.append((method, details.id, user))
        return False

    monkeypatch.setitem(pages.app.dependency_overrides, get_user, lambda: "somebody")
    monkeypatch.setattr(pages, "get_auth_manager", lambda: SimpleNamespace(is_authorized_dag=is_authorized_dag))
    assert get(path) == 403
    assert asked == [("GET", "orchard_daily", "somebody")]


def test_a_run_without_a_report(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person is told why on a page with a way on; a program gets the same as JSON."""
    monkeypatch.setitem(pages.app.dependency_overrides, pages.may_see, lambda: None)
    monkeypatch.setattr(pages, "read_settings", lambda: settings(lake=f"s3://{bucket}/<lake>"))
    monkeypatch.setattr(pages.aws, "client", lambda *_: aws.client("s3"))
    page = answer("/reports/r1", "text/html,*/*")
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (
        f"There is no report of run r1: expected it at s3://{bucket}/&lt;lake&gt;/reports/r1.html. A run" in page.text
    )
    assert 'href="../../dags/orchard_daily/runs"' in page.text
    assert answer("/reports/r1").json()["detail"].startswith("There is no report of run r1: expected it at ")
