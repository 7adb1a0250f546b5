"""What messages tell of new photos, as S3, SNS and EventBridge write them."""

import json
from typing import Any

import pytest

from orchard.photos.events import EventError, Watched, made


def record(key: str, name: str = "ObjectCreated:Put", bucket: str = "bucket") -> dict[str, Any]:
    return {"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}


def records(*told: dict[str, Any]) -> str:
    return json.dumps({"Records": told})


def by_sns(message: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:0:t", "Message": message})


def by_eventbridge(key: str, kind: str = "Object Created") -> str:
    detail = {"bucket": {"name": "bucket"}, "object": {"key": key}, "reason": "PutObject"}
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail})


TEST = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"})


@pytest.mark.parametrize(
    ("body", "uris"),
    [
        (records(record("photos/Fig/1.jpg")), ["s3://bucket/photos/Fig/1.jpg"]),
        (
            records(record("a.jpg", "ObjectCreated:CompleteMultipartUpload"), record("b.jpg", "ObjectCreated:Copy")),
            ["s3://bucket/a.jpg", "s3://bucket/b.jpg"],
        ),
        (records(record("P%C3%AAche+plate/100%25%2B1.jpg")), ["s3://bucket/Pêche plate/100%+1.jpg"]),
        (by_sns(records(record("P%C3%AAche+plate/1.jpg"))), ["s3://bucket/Pêche plate/1.jpg"]),
        (by_eventbridge("Pêche plate/100%25+1.jpg"), ["s3://bucket/Pêche plate/100%25+1.jpg"]),
        (by_sns(by_eventbridge("1.jpg")), ["s3://bucket/1.jpg"]),
        (TEST, []),
        (by_sns(TEST), []),
        (records(), []),
        (records(record("1.jpg", "ObjectRemoved:Delete"), record("2.jpg", "ObjectTagging:Put")), []),
        (by_eventbridge("1.jpg", "Object Deleted"), []),
    ],
)
def test_what_is_told(body: str, uris: list[str]) -> None:
    assert made(body) == uris


@pytest.mark.parametrize(
    "body",
    [
        "", "hello", "7", "[]", "null", "{}", "[" * 100_000, '{"Records": 7}', '{"Records": [7]}', '{"Records": [{}]}',
        records(record("1.jpg") | {"s3": None}), records({**record("1.jpg"), "eventName": 7}),
        records(record(7)), records(record("1.jpg", bucket=None)),  # type: ignore[arg-type]
        by_sns("hello"), by_sns(7), by_eventbridge(7), json.dumps({"source": "aws.s3"}),  # type: ignore[arg-type]
        json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": []}),
    ],
    ids=lambda body: body[:60],
)  # fmt: skip
def test_what_is_none_of_s3s(body: str) -> None:
    with pytest.raises(EventError, match=r"^it "):
        made(body)


def test_photos_are_what_discovery_would_take_for_them() -> None:
    watched = Watched(["s3://bucket/photos", "s3://shop/2026*"], ("*.bak", "trash"), "s3://bucket/photos/lake/")
    photos = ["photos/Fig/1.jpg", "photos/1.JPEG", "photos/Fig/without-suffix"]
    others = [
        "photos", "photos/Fig/", "photos/Fig/1.txt", "photos/trash/1.jpg", "photos/Fig/1.bak", "photos-of-cats/1.jpg",
        "1.jpg", "photos/lake/reports/1.jpg",
    ]  # fmt: skip
    body = records(*map(record, [*photos, *others]), record("2026-07/1.jpg", bucket="shop"), record("1.jpg", "shop"))
    assert watched.photos(body) == [*(f"s3://bucket/{key}" for key in photos), "s3://shop/2026-07/1.jpg"]
