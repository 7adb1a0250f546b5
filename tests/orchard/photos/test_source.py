from datetime import UTC, datetime, timedelta

import pytest

from orchard.lake.watermark import Watermark
from orchard.photos.source import Source, SourceError

NOW = datetime(2026, 3, 10, tzinfo=UTC)
ARN = "arn:aws:s3tables:eu-west-1:111122223333:bucket/aws-s3"


def mark(days: float, since: float | None = 1) -> Watermark:
    at = None if since is None else NOW - timedelta(days=since)
    return Watermark([], NOW - timedelta(days=days), at, None, "r")


def test_kinds() -> None:
    assert not Source().lags
    assert Source("s3://reports/all/photos/daily/").lags
    assert not Source("s3://reports/all/photos/daily/").of_metadata()
    assert Source(ARN).of_metadata()


@pytest.mark.parametrize(
    "text", ["", "Listing", "listing ", "s3://reports", "s3://reports/", "inventory", "arn:aws:s3:::b"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(SourceError, match="expected listing, the folder of an S3 Inventory"):
        Source(text)


def test_when_all_is_listed() -> None:
    source = Source(ARN, 7)
    assert Source().listing_due(None, NOW)
    assert not source.listing_due(None, NOW)  # the days begin
    assert not source.listing_due(mark(6.9), NOW)
    assert source.listing_due(mark(7), NOW)
    assert Source(ARN, 0).listing_due(None, NOW)


def test_when_events_are_enough() -> None:
    source = Source(ARN)
    assert source.since(None, NOW) is None
    assert source.since(mark(1, None), NOW) is None
    assert source.since(mark(1, 5.9), NOW) == NOW - timedelta(days=5.9)
    assert source.since(mark(1, 6), NOW) is None
