"""What the benchmark of discovery serves is as S3 serves it, and the batch is the right one; no time is held to."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarks.discovery import BUCKET, fresh, run
from benchmarks.listing_server import Objects, serving
from orchard.photos.bucket import pages


@pytest.fixture(scope="module")
def objects() -> Objects:
    return Objects(5_500)


@pytest.fixture(scope="module")
def s3(objects: Objects) -> Any:
    with serving(objects, 0) as address:
        yield boto3.client(
            "s3", endpoint_url=address, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
        )


def test_keys_are_in_their_order(objects: Objects) -> None:
    keys = list(objects)
    assert keys == sorted(keys)
    assert len({*keys}) == len({objects.etag(number) for number in range(len(keys))}) == 5_500


@pytest.mark.parametrize("prefix", ["", "photos/", "photos/label 00", "photos/label 130/", "none/"])
def test_it_lists_as_s3_does(objects: Objects, s3: Any, prefix: str) -> None:
    expected = [key for key in objects if key.startswith(prefix)]
    listed = list(s3.get_paginator("list_objects_v2").paginate(Bucket="b", Prefix=prefix))
    assert [item["Key"] for page in listed for item in page.get("Contents", [])] == expected
    assert [page["KeyCount"] for page in listed] == [1000] * (len(expected) // 1000) + [len(expected) % 1000]
    behind = s3.list_objects_v2(Bucket="b", Prefix=prefix, StartAfter=objects[2_000]).get("Contents", [])
    assert [item["Key"] for item in behind] == [key for key in expected if key > objects[2_000]][:1000]
    folders = s3.list_objects_v2(Bucket="b", Prefix=prefix, Delimiter="/").get("CommonPrefixes", [])
    begins = {key[: key.find("/", len(prefix)) + 1] for key in expected if "/" in key[len(prefix) :]}
    assert [folder["Prefix"] for folder in folders] == sorted(begins)
    assert sum(len(page.items) for page in pages([("b", prefix)], s3)) == len(expected)


def test_it_finds_the_new_ones(tmp_path: Path) -> None:
    measured, size = run(tmp_path, objects=20_000, new=20, runs=5, dimension=4, milliseconds=0)
    there = Objects(20_000)
    assert measured.batch == tuple(f"s3://{BUCKET}/{there[number]}" for number in sorted(fresh(20_000, 20)))
    found = measured.found
    assert (found.listed, found.added, found.changed, found.deleted) == (20_000, 20, 0, 0)
    assert found.seconds.keys() == {"known", "listing", "comparing"}
    assert found.requests["LIST"] < 100
    assert size > 0 and measured.peak_bytes > 0 and measured.seconds > 0
