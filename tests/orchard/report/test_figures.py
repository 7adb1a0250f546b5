from datetime import UTC, datetime, timedelta, timezone

import pytest

from orchard.report import figures


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0, "0.0 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (250.2, "4 min 10 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_seconds(duration: float | None, text: str) -> None:
    assert figures.seconds(duration) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0.00"),
        (0.00001, "< $0.0001"),
        (0.00423, "$0.0042"),
        (0.0432, "$0.043"),
        (0.12, "$0.12"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars(amount: float, text: str) -> None:
    assert figures.dollars(amount) == text


def test_what_is_not_all_is_not_100_percent() -> None:
    assert [figures.percent(share) for share in (0.0, 0.9512, 0.99996, 1.0)] == ["0.0%", "95.1%", "99.9%", "100.0%"]
    assert figures.percent(0.999999, 2) == "99.99%"


def test_counts_sizes_and_moments() -> None:
    assert figures.count(1234567) == "1,234,567"
    assert [figures.size(length) for length in (0, 999, 18_240, 3_450_000)] == ["0 B", "999 B", "18 kB", "3.5 MB"]
    moment = datetime(2026, 11, 1, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    assert figures.when(moment) == "31 Oct 2026, 23:05 UTC"
    assert figures.when(datetime(2026, 11, 1, tzinfo=UTC)) == "1 Nov 2026, 00:00 UTC"


def test_what_has_no_look_is_shown_by_its_escape() -> None:
    assert figures.visible("a\nb\u202egpj.\udcff é 🍑 👩\u200d🌾") == "a\\nb\\u202egpj.\\udcff é 🍑 👩\u200d🌾"
    assert figures.visible(3) == 3


def test_a_curve_is_interrupted_where_there_is_no_value() -> None:
    assert figures.curve([1, 3, None, 2], 30, 10) == [[(0, 10), (10, 0)], [(30, 5)]]
    assert figures.curve([5], 30, 10) == [[(30, 5)]]
    assert figures.curve([None], 30, 10) == []
