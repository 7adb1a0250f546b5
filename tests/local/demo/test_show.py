from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from local.demo.show import cell, grid


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
