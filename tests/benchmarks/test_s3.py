"""The proxy in front of the emulator: what goes through it comes out as it was, and is counted by its kind."""

import os
from collections import Counter
from pathlib import Path

import boto3
import pytest

from benchmarks.s3 import kind, serving


@pytest.mark.parametrize(
    ("method", "path", "query", "target", "expected"),
    [
        ("GET", "/b", "list-type=2&prefix=x", "", "LIST"),
        ("GET", "/b/", "", "", "LIST"),
        ("GET", "/b/a.jpg", "", "", "GET"),
        ("HEAD", "/b/a.jpg", "", "", "HEAD"),
        ("POST", "/b", "delete", "", "DELETE"),
        ("POST", "/b/a", "uploads", "", "POST"),
        ("POST", "/", "", "AWSGlue.GetTable", "GLUE"),
    ],
)
def test_kinds(method: str, path: str, query: str, target: str, expected: str) -> None:
    assert kind(method, path, query, target) == expected


def test_requests_go_through_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, body = "a b/\u00fc%2F+.jpg", os.urandom(700_000)
    with serving(tmp_path, first_byte=0.001, rate=1e9) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        client = boto3.Session().client("s3")
        client.create_bucket(Bucket="bbb", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        client.put_object(Bucket="bbb", Key=key, Body=body)
        assert client.get_object(Bucket="bbb", Key=key)["Body"].read() == body
        assert [item["Key"] for item in client.list_objects_v2(Bucket="bbb")["Contents"]] == [key]
        assert s3.counts() == Counter({"PUT": 2, "GET": 1, "LIST": 1})
