"""Addresses of pages, whatever a run is called."""

from orchard.dag.links import run_url


def test_the_page_of_a_run() -> None:
    expected = "http://localhost:8080/dags/orchard_daily/runs/manual__2026-11-27T01%3A30%3A25%2B00%3A00"
    assert run_url("orchard_daily", "manual__2026-11-27T01:30:25+00:00") == expected
    assert run_url("orchard_daily", "a/b c").endswith("/runs/a%2Fb%20c")
