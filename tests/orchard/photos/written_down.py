"""What AWS writes down of a bucket, as AWS writes it: reports of S3 Inventory, and the tables of S3 Metadata."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pyarrow as pa
from pyarrow import parquet
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import BooleanType, IcebergType, LongType, MapType, NestedField, StringType, TimestampType

FIELDS = (
    "Bucket",
    "Key",
    "VersionId",
    "IsLatest",
    "IsDeleteMarker",
    "Size",
    "LastModifiedDate",
    "ETag",
    "StorageClass",
)
IN_PARQUET = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("bucket", "key", "version_id")),
        *(pa.field(name, pa.bool_()) for name in ("is_latest", "is_delete_marker")),
        pa.field("size", pa.int64()),
        pa.field("last_modified_date", pa.timestamp("ms", "UTC")),
        *(pa.field(name, pa.string()) for name in ("e_tag", "storage_class")),
    ]
)
Row = dict[str, Any]


def row(key: str, etag: str, size: int, modified: datetime, **more: Any) -> Row:
    """Make a row of an inventory, by the names in Parquet; the etag is without quotes."""
    plain = {"bucket": "b", "key": key, "version_id": None, "is_latest": True, "is_delete_marker": False, "size": size}
    return {**plain, "last_modified_date": modified, "e_tag": etag.strip('"'), "storage_class": "STANDARD", **more}


def objects(s3: Any, bucket: str) -> list[Row]:
    """Give rows of all that is in a bucket now."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    items = [item for page in pages for item in page.get("Contents", ())]
    return [row(item["Key"], item["ETag"], item["Size"], item["LastModified"]) for item in items]


def as_csv(rows: Sequence[Row], fields: Sequence[str] = FIELDS) -> bytes:
    def cell(name: str, value: Any) -> str:
        if name == "key":
            return quote_plus(value, safe="/")
        if isinstance(value, bool):
            return str(value).lower()
        return (
            value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            if isinstance(value, datetime)
            else str(value)
        )

    text = io.StringIO()
    names = dict(zip(FIELDS, IN_PARQUET.names, strict=True))
    cells = [["" if one[names[f]] is None else cell(names[f], one[names[f]]) for f in fields] for one in rows]
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(cells)
    return gzip.compress(text.getvalue().encode())


def as_parquet(rows: Sequence[Row], fields: Sequence[str] = FIELDS) -> bytes:
    names = dict(zip(FIELDS, IN_PARQUET.names, strict=True))
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows), IN_PARQUET).select([names[name] for name in fields]), file)
    return file.getvalue()


def report(
    s3: Any, address: str, bucket: str, at: datetime, form: str, *files: Sequence[Row],
    fields: Sequence[str] = FIELDS, **manifest: Any,
) -> None:  # fmt: skip
    """Write a report, of so many files, in a folder of its time."""
    destination, _, folder = address.removeprefix("s3://").partition("/")
    written = []
    for number, rows in enumerate(files):
        data = as_csv(rows, fields) if form == "CSV" else as_parquet(rows, fields)
        key = f"{folder}data/{at:%s}-{number}.{'csv.gz' if form == 'CSV' else 'parquet'}"
        s3.put_object(Bucket=destination, Key=key, Body=data)
        written.append({"key": key, "size": len(data), "MD5checksum": hashlib.md5(data).hexdigest()})
    told = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{destination}",
        "version": "2016-11-30",
        "creationTimestamp": str(int(at.timestamp() * 1000)),
        "fileFormat": form,
        "fileSchema": ", ".join(fields) if form == "CSV" else "message s3.inventory { ... }",
        "files": written,
    }
    body = json.dumps({**told, **manifest}).encode()
    s3.put_object(Bucket=destination, Key=f"{folder}{at:%Y-%m-%dT%H-%MZ}/manifest.json", Body=body)


_TEXT = StringType()
_LATER: dict[str, IcebergType] = {
    "size": LongType(), "last_modified_date": TimestampType(), "e_tag": _TEXT, "storage_class": _TEXT,
    "is_multipart": BooleanType(), "encryption_status": _TEXT, "is_bucket_key_enabled": BooleanType(),
    "kms_key_arn": _TEXT, "checksum_algorithm": _TEXT,
    "object_tags": MapType(100, _TEXT, 101, _TEXT, value_required=False),
    "user_metadata": MapType(102, _TEXT, 103, _TEXT, value_required=False),
}  # fmt: skip
# As AWS' user guide gives them.
JOURNAL: dict[str, IcebergType] = {
    "bucket": _TEXT, "key": _TEXT, "sequence_number": _TEXT, "record_type": _TEXT, "record_timestamp": TimestampType(),
    "version_id": _TEXT, "is_delete_marker": BooleanType(), **_LATER, "requester": _TEXT, "source_ip_address": _TEXT,
    "request_id": _TEXT,
}  # fmt: skip
INVENTORY: dict[str, IcebergType] = {
    "bucket": _TEXT, "key": _TEXT, "sequence_number": _TEXT, "version_id": _TEXT, "is_delete_marker": BooleanType(),
    **_LATER,
}  # fmt: skip


@dataclass
class Metadata:
    """The tables of a bucket, in a catalog of this machine."""

    folder: Path
    bucket: str
    number: int = 0
    catalog: Catalog = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = {"uri": f"sqlite:///{self.folder}/catalog.db", "warehouse": str(self.folder)}
        self.catalog = load_catalog("metadata", type="sql", **place)
        self.catalog.create_namespace(f"b_{self.bucket}")
        for name, columns in (("journal", JOURNAL), ("inventory", INVENTORY)):
            fields = enumerate(columns.items(), start=1)
            schema = Schema(*(NestedField(i, column, kind, required=False) for i, (column, kind) in fields))
            self.catalog.create_table((f"b_{self.bucket}", name), schema)

    def event(self, key: str, record_type: str = "CREATE", at: datetime | None = None, **more: Any) -> Row:
        """Make a row of the journal, newer than all that were made before."""
        self.number += 1
        at = (at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
        plain = {"bucket": self.bucket, "key": key, "sequence_number": f"80e737d8{self.number:012x}"}
        return {**plain, "record_type": record_type, "record_timestamp": at, "is_delete_marker": False, **more}

    def put(self, key: str, etag: str, size: int, modified: datetime, **more: Any) -> Row:
        """Make the row of an object that was put."""
        modified = modified.astimezone(UTC).replace(tzinfo=None)
        return self.event(key, size=size, last_modified_date=modified, e_tag=etag.strip('"'), **more)

    def log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append to the journal."""
        table = self.catalog.load_table((f"b_{self.bucket}", "journal"))
        if rows:
            table.append(pa.Table.from_pylist([dict(one) for one in rows], table.schema().as_arrow()))

    def hold(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Let the live inventory hold these rows, of the journal or an inventory, and no others."""
        table = self.catalog.load_table((f"b_{self.bucket}", "inventory"))
        rows = [{name: value for name, value in one.items() if name in INVENTORY} for one in rows]
        table.overwrite(pa.Table.from_pylist(rows, table.schema().as_arrow()))
