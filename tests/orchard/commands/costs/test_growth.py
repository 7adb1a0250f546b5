from dataclasses import replace
from datetime import date, timedelta

import pytest

from orchard.commands.costs.candidates import candidates
from orchard.commands.costs.growth import Growth, marks
from orchard.lake.history import History, Past
from tests.plans import settings

RUN = Past(
    day=date(2026, 3, 1),
    photos=2_000,
    grown=1_900,
    listed=100_500,
    rate=100.0,
    instance_type="m5.xlarge",
    core_nodes=1,
    seconds=485.0,
    beside=480.0,
    maintained=0.0,
    dollars=0.07,
)
# Every other day of 59, newest first, with one day of very many photos; tables are maintained in one run of six.
PAST = History(
    "e",
    tuple(
        replace(
            RUN,
            day=RUN.day + timedelta(days=2 * day),
            maintained=120.0 * (day % 6 == 0),
            beside=480.0 + 120.0 * (day % 6 == 0),
        )
        for day in reversed(range(30))
    ),
)
GROWTH = Growth.of(PAST, held=100_000, bytes_held=100_000 * 2**14)


def test_as_it_was_measured() -> None:
    assert Growth.of(PAST, held=100_000, bytes_held=100_000 * 2**14) == Growth(
        runs=30,
        days=59,
        photos=2_000,
        grown=1_900,
        beside=500.0,  # 480, and a sixth of 120
        held=100_000,
        listed=100_500,
        bytes_a_photo=2**14,
    )


def test_only_the_newest_runs_tell_and_one_large_day_does_not() -> None:
    older = replace(RUN, day=date(2020, 1, 1), photos=10**6, grown=10**6)
    first = replace(PAST.runs[0], photos=10**6, grown=10**6)
    assert Growth.of(History("e", (first, *PAST.runs[1:], older)), 100_000, 100_000 * 2**14) == GROWTH


def test_years() -> None:
    """1,900 photos in 30 of 59 days."""
    assert GROWTH.held_after(0) == 100_000
    assert GROWTH.held_after(10) == round(100_000 + 3650 * 30 / 59 * 1_900)
    shrinking = replace(GROWTH, grown=-500)
    assert (shrinking.held_after(0.1), shrinking.held_after(10)) == (90_720, 0)


def test_dollars_of_s3() -> None:
    """Storage a GiB-month, twelve a year; a LIST answers a thousand objects; a GET is a new photo."""
    gib = 100_000 * 2**14 / 2**30
    assert GROWTH.storage("eu-west-1", 0).dollars == pytest.approx(gib * 0.023 * 12 / 365)
    lists, gets = 101, 2_000 * 30 / 59
    assert GROWTH.requests("eu-west-1", 0).dollars == pytest.approx(lists * 0.005e-3 + gets * 0.0004e-3)
    assert GROWTH.storage("eu-north-1", 0).missing == {"S3's price of storage in eu-north-1"}
    assert GROWTH.requests("mars", 0).missing == {"S3's price of list in mars", "S3's price of get in mars"}
    assert replace(GROWTH, bytes_a_photo=None).storage("eu-west-1", 0).dollars is None


def test_dollars_of_clusters_are_those_of_a_days_photos() -> None:
    one, *_ = candidates(settings(), PAST, ["m5.xlarge"], None)
    hour = 0.214 + 0.048 + 84 * 0.088 / 730
    assert GROWTH.clusters(one).dollars == pytest.approx(2 * hour * 505 / 3600 * 30 / 59)
    assert GROWTH.clusters(one, core_nodes=2).dollars == pytest.approx(3 * hour * 502.5 / 3600 * 30 / 59)
    (graviton, _) = candidates(settings(), PAST, ["m6g.xlarge"], None)
    assert GROWTH.clusters(graviton).missing == {"EMR's part of m6g.xlarge"}


def test_a_lake_that_holds_nothing_and_rented_nothing() -> None:
    local = replace(RUN, instance_type=None, seconds=None, beside=None, listed=None)
    found = Growth.of(History("e", (local,)), 0, 0)
    assert (found.beside, found.listed, found.bytes_a_photo, found.runs_a_day) == (450.0, 0, None, 1.0)


def test_the_years_that_are_shown() -> None:
    assert [[*marks(years)] for years in (1, 2, 5, 10, 12)] == [
        [0, 1], [0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 2, 4, 6, 8, 10], [0, 3, 6, 9, 12],
    ]  # fmt: skip
