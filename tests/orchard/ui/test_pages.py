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

PATHS = ["/reports/r1", "/spark-ui/j-1"]


def get(path: str) -> int:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(pages.app), base_url="http://airflow") as client:
            return await client.get(path)

    return asyncio.run(ask()).status_code


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
