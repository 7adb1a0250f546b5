import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from botocore.exceptions import ClientError

from orchard.photos.inventory import Inventory, InventoryError, newest
from tests.orchard.photos.test_bucket import ODD
from tests.orchard.photos.written_down import FIELDS, as_csv, report, row

AT = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
MODIFIED = datetime(2026, 2, 1, 12, 30, 15, 123_000, tzinfo=UTC)
ROWS = [row("photos/a/1.jpg", "0123-2", 5, MODIFIED), row("photos/b/2.jpg", "4567", 6, MODIFIED)]


@pytest.fixture
def reports(aws: Any) -> str:
    name = f"reports-{uuid.uuid4().hex[:12]}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return f"s3://{name}/all/b/daily/"


def read(s3: Any, inventory: Inventory, *prefixes: str) -> list[dict[str, Any]]:
    pages = inventory.pages(duckdb.connect(), prefixes or ("",), s3=s3, requests=Counter())
    return sorted((item for page in pages for item in page.items), key=lambda item: item["Key"])


@pytest.mark.parametrize("form", ["CSV", "Parquet"])
class TestReport:
    def test_objects_are_as_s3_lists_them(self, aws: Any, reports: str, form: str) -> None:
        s3, requests = aws.client("s3"), Counter[str]()
        report(s3, reports, "b", AT, form, ROWS[:1], ROWS[1:])
        inventory = newest(reports, s3, requests)
        assert (inventory.bucket, inventory.at) == ("b", AT)
        assert inventory.told == "S3 Inventory of 2026-03-01 01:00 UTC"
        pages = list(inventory.pages(duckdb.connect(), ["photos/"], s3=s3, requests=requests))
        assert {(page.bucket, page.prefix) for page in pages} == {("b", "photos/")}
        assert requests == {"LIST": 1, "GET": 3}
        first = {"Key": "photos/a/1.jpg", "ETag": '"0123-2"', "Size": 5, "LastModified": MODIFIED}
        second = {"Key": "photos/b/2.jpg", "ETag": '"4567"', "Size": 6, "LastModified": MODIFIED}
        assert read(s3, inventory) == [first, second]
        assert read(s3, inventory, "photos/b/", "none/") == [second]

    def test_any_key(self, aws: Any, reports: str, form: str) -> None:
        s3 = aws.client("s3")
        report(s3, reports, "b", AT, form, [row(key, "1", 1, MODIFIED) for key in ODD])
        found = [item["Key"] for item in read(s3, newest(reports, s3, Counter()))]
        assert found == sorted(key for key in ODD if not key.endswith("/"))

    def test_of_versions_the_newest_counts(self, aws: Any, reports: str, form: str) -> None:
        s3 = aws.client("s3")
        rows = [
            row("now.jpg", "1", 1, MODIFIED, version_id="2"),
            row("now.jpg", "0", 1, MODIFIED, version_id="1", is_latest=False),
            row("gone.jpg", "", 1, MODIFIED, version_id="4", is_delete_marker=True) | {"size": None, "e_tag": None},
            row("gone.jpg", "1", 1, MODIFIED, version_id="3", is_latest=False),
            row("plain.jpg", "1", 1, MODIFIED, is_latest=None, is_delete_marker=None),
        ]
        report(s3, reports, "b", AT, form, rows)
        found = [(item["Key"], item["ETag"]) for item in read(s3, newest(reports, s3, Counter()))]
        assert found == [("now.jpg", '"1"'), ("plain.jpg", '"1"')]

    def test_without_versions_it_has_no_such_fields(self, aws: Any, reports: str, form: str) -> None:
        s3 = aws.client("s3")
        fields = [name for name in FIELDS if name not in ("VersionId", "IsLatest", "IsDeleteMarker", "StorageClass")]
        report(s3, reports, "b", AT, form, ROWS, fields=fields)
        assert len(read(s3, newest(reports, s3, Counter()))) == 2

    def test_a_bucket_without_objects(self, aws: Any, reports: str, form: str) -> None:
        s3 = aws.client("s3")
        report(s3, reports, "b", AT, form, [])
        assert read(s3, newest(reports, s3, Counter())) == []

    def test_a_field_is_missing(self, aws: Any, reports: str, form: str) -> None:
        s3 = aws.client("s3")
        report(s3, reports, "b", AT, form, ROWS, fields=("Bucket", "Key", "Size"))
        names = "Bucket, Key, Size" if form == "CSV" else "bucket, key, size"
        with pytest.raises(InventoryError) as caught:
            read(s3, newest(reports, s3, Counter()))
        assert str(caught.value) == (
            f"{reports}2026-03-01T01-00Z/manifest.json: the report lacks last_modified_date, e_tag; expected size, "
            f"last modified date and ETag among its optional fields, got {names}. Choose them in its configuration."
        )


def test_a_file_that_is_another(aws: Any, reports: str) -> None:
    s3 = aws.client("s3")
    report(s3, reports, "b", AT, "CSV", ROWS)
    inventory = newest(reports, s3, Counter())
    bucket, key = reports.removeprefix("s3://").partition("/")[0], inventory.manifest["files"][0]["key"]
    s3.put_object(Bucket=bucket, Key=key, Body=as_csv(ROWS[:1]))
    with pytest.raises(InventoryError, match=r"its MD5 is [0-9a-f]{32}, expected [0-9a-f]{32} as the manifest says"):
        read(s3, inventory)


def test_orc_is_refused(aws: Any, reports: str) -> None:
    s3 = aws.client("s3")
    report(s3, reports, "b", AT, "CSV", ROWS, fileFormat="ORC")
    with pytest.raises(InventoryError, match="expected CSV or Parquet, got ORC"):
        read(s3, newest(reports, s3, Counter()))


class TestNewest:
    def test_the_newest_that_has_a_manifest(self, aws: Any, reports: str) -> None:
        s3, bucket = aws.client("s3"), reports.split("/")[2]
        for day in (27, 28):
            report(s3, reports, "b", datetime(2026, 2, day, 1, tzinfo=UTC), "CSV", ROWS)
        for key in ("2026-03-01T01-00Z/manifest.checksum", "hive/dt=2026-03-02-01-00/symlink.txt", "zzz/manifest.json"):
            s3.put_object(Bucket=bucket, Key=f"all/b/daily/{key}", Body=b"x")
        for address in (reports, reports.rstrip("/")):
            assert newest(address, s3, Counter()).at.day == 28

    def test_none(self, aws: Any, reports: str) -> None:
        with pytest.raises(InventoryError) as caught:
            newest(reports, aws.client("s3"), Counter())
        assert str(caught.value).startswith(f"{reports}: expected reports of S3 Inventory, in folders such as ")
        with pytest.raises(ClientError, match="NoSuchBucket"):
            newest("s3://there-is-no-such-bucket/x", aws.client("s3"), Counter())
