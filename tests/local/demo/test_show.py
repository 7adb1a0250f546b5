from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from local.demo import show
from local.demo.run import Demo
from local.demo.show import cell, grid, report
from local.stack import BUCKET
from tests.conftest import REGION


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "true"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05"),
        (b"1234", "4 bytes"),
        ([0.25, 1.5, 3.0, 4.0], "[0.25 1.5 … 4]"),
        ([[1.0, 2.0, 3.0]] * 2, "2 x 3"),
        ([], "[]"),
        (["Kiwi", "Plum"], "Kiwi, Plum"),
        ("s3://orchard/photos/Kiwi/1.jpg", "…/photos/Kiwi/1.jpg"),
        ("two\nlines", "two lines"),
        ("x" * 100, "x" * 35 + "…"),
    ],
)
def test_cells(value: Any, shown: str) -> None:
    assert cell(value) == shown


def test_columns_are_aligned() -> None:
    rows = pa.table({"label": ["Kiwi", "Banana"], "size": [1, 20000]})
    assert grid(rows) == "  label   size\n  Kiwi    1\n  Banana  20,000"


def test_a_report_or_none(aws: Any, tmp_path: Path) -> None:
    """A day whose photos another run took has none; what the demo says then, it goes on with."""
    s3 = aws.client("s3")
    if BUCKET not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="lake/reports/day-of-test-show.html", Body=b"<html>")
    page = tmp_path / "report.html"
    assert not report(s3, "no-such-day", page)
    assert not page.exists()
    assert report(s3, "day-of-test-show", page)
    assert page.read_bytes() == b"<html>"


@pytest.mark.parametrize("there", [False, True])
def test_what_the_demo_says_of_its_last_day(there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for name in ("tables", "clusters", "recognised"):
        monkeypatch.setattr(show, name, lambda *_: "shown")
    monkeypatch.setattr(show, "report", lambda *_: there)
    demo = Demo.__new__(Demo)
    demo.screen = SimpleNamespace(say=said.append, head=said.append, phases={})
    demo.settings, demo.s3, demo.home = {"lake": "s3://orchard/lake"}, None, SimpleNamespace(folder=tmp_path)
    demo.story = SimpleNamespace(asked=Path("Kiwi/1.jpg"))
    demo.client, demo.prepared = SimpleNamespace(url="http://airflow"), SimpleNamespace(describe=lambda: "theirs")
    demo._show()
    text = "\n".join(said)
    assert (f"The second day's report: {tmp_path}/report.html" in text) == there
    assert ("The second day has no report: another run took its photos" in text) == (not there)
    assert "Weights: theirs" in text  # it goes on
