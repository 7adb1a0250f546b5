"""Inventory: what S3 Inventory wrote down of a bucket, once a day or a week, as files of CSV or Parquet.

Only a report whose manifest is there counts: S3 writes it last. The report is of the time when S3 began it, and lags: a
photo may be missing that is there, or be listed though it is gone.
"""

import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import unquote_plus

import duckdb
import pyarrow as pa
from pyarrow import csv, parquet

from orchard.photos.bucket import Item, Page

_FOLDER = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\dZ/$")
_LOOKED_AT = 5  # newest folders that may lack a manifest yet
# By their names in Parquet; CSV's differ in capitals and underscores.
_WANTED = ("key", "size", "last_modified_date", "e_tag")
_OF_VERSIONS = ("is_latest", "is_delete_marker")


class InventoryError(ValueError):
    """There is no report to read, or it lacks something."""


@dataclass(frozen=True)
class Inventory:
    """One report.

    Attributes
    ----------
    bucket : str
        That it is of.
    at : datetime
        When S3 began it.
    """

    bucket: str
    at: datetime
    address: str
    manifest: Mapping[str, Any]

    @property
    def told(self) -> str:
        return f"S3 Inventory of {self.at:%Y-%m-%d %H:%M} UTC"

    def pages(
        self, _: duckdb.DuckDBPyConnection, prefixes: Sequence[str], *, s3: Any, requests: Counter[str]
    ) -> Generator[Page, None, None]:
        """Read the objects of its bucket under prefixes, none of which begins with another.

        Raises
        ------
        InventoryError
            A file is not what the manifest says, or lacks a field.
        """
        form = self.manifest["fileFormat"]
        if form not in ("CSV", "Parquet"):
            raise InventoryError(
                f"{self.address}: expected CSV or Parquet, got {form}. Choose one in its configuration."
            )
        destination = self.manifest["destinationBucket"].rpartition(":")[2]
        for one in self.manifest["files"]:
            requests["GET"] += 1
            with tempfile.TemporaryFile(prefix="orchard-") as file:
                self._fetch(s3, destination, one, file)
                for rows in self._csv(file) if form == "CSV" else self._parquet(file):
                    items = [item for item in _items(rows, form == "CSV") if not item["Key"].endswith("/")]
                    for prefix in prefixes:
                        if under := [item for item in items if item["Key"].startswith(prefix)]:
                            yield Page(self.bucket, prefix, under)

    def _fetch(self, s3: Any, bucket: str, one: Mapping[str, Any], file: IO[bytes]) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in s3.get_object(Bucket=bucket, Key=one["key"])["Body"].iter_chunks(1 << 20):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != one["MD5checksum"]:
            raise InventoryError(
                f"s3://{bucket}/{one['key']}: its MD5 is {digest.hexdigest()}, expected {one['MD5checksum']} as the "
                "manifest says. The file is another, or was cut off: wait for the next report."
            )
        file.seek(0)

    def _csv(self, file: IO[bytes]) -> Iterator[pa.RecordBatch]:
        names = [name.strip() for name in self.manifest["fileSchema"].split(",")]
        columns = self._columns(names)
        reader = csv.open_csv(
            pa.CompressedInputStream(file, "gzip"),
            read_options=csv.ReadOptions(column_names=names, block_size=8 << 20),
            convert_options=csv.ConvertOptions(
                include_columns=list(columns.values()), column_types=dict.fromkeys(names, pa.string())
            ),
        )
        for batch in reader:
            yield batch.rename_columns(list(columns))

    def _parquet(self, file: IO[bytes]) -> Iterator[pa.RecordBatch]:
        reader = parquet.ParquetFile(file)
        columns = self._columns(reader.schema_arrow.names)
        for batch in reader.iter_batches(50_000, columns=list(columns.values())):
            yield batch.select(list(columns.values())).rename_columns(list(columns))

    def _columns(self, names: Sequence[str]) -> dict[str, str]:
        """Find what the columns that are wanted are called."""
        called = {name.lower().replace("_", ""): name for name in names}
        found = {one: called.get(one.replace("_", "")) for one in (*_WANTED, *_OF_VERSIONS)}
        if missing := [one for one in _WANTED if found[one] is None]:
            raise InventoryError(
                f"{self.address}: the report lacks {', '.join(missing)}; expected size, last modified date and ETag "
                f"among its optional fields, got {', '.join(names)}. Choose them in its configuration."
            )
        return {one: name for one, name in found.items() if name is not None}


def newest(address: str, s3: Any, requests: Counter[str]) -> Inventory:
    """Find the newest report that is whole.

    Parameters
    ----------
    address : str
        ``s3://destination/prefix/bucket/config-ID/``.

    Raises
    ------
    InventoryError
        There is none.
    """
    bucket, _, folder = address.removeprefix("s3://").partition("/")
    folder = f"{folder.rstrip('/')}/"
    dates: list[str] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder, Delimiter="/"):
        requests["LIST"] += 1
        dates += [one["Prefix"] for one in page.get("CommonPrefixes", ()) if _FOLDER.search(one["Prefix"])]
    for date in sorted(dates, reverse=True)[:_LOOKED_AT]:
        requests["GET"] += 1
        try:
            body = s3.get_object(Bucket=bucket, Key=f"{date}manifest.json")["Body"].read()
        except s3.exceptions.NoSuchKey:  # S3 is still writing it
            continue
        manifest = json.loads(body)
        at = datetime.fromtimestamp(int(manifest["creationTimestamp"]) / 1000, UTC)
        return Inventory(manifest["sourceBucket"], at, f"s3://{bucket}/{date}manifest.json", manifest)
    raise InventoryError(
        f"s3://{bucket}/{folder}: expected reports of S3 Inventory, in folders such as 2026-03-01T01-00Z/ with a "
        "manifest.json, got none. The first comes up to two days after it was configured: until then, let the setting "
        "source be listing."
    )


def _items(rows: pa.RecordBatch, encoded: bool) -> Iterator[Item]:
    """Give the objects that are there now, as S3 lists them."""
    for row in rows.to_pylist():
        # Of a bucket that had versions, the newest counts; where that is a delete marker, the object is gone.
        if _says(row, "is_latest") == "false" or _says(row, "is_delete_marker") == "true":
            continue
        modified = row["last_modified_date"]
        yield {
            # As S3 encodes the keys of a listing where it is asked to, which botocore decodes so.
            "Key": unquote_plus(row["key"]) if encoded else row["key"],
            "ETag": quoted(row["e_tag"]),
            "Size": int(row["size"]),
            "LastModified": datetime.fromisoformat(modified) if encoded else utc(modified),
        }


def quoted(etag: str) -> str:
    """Write an etag as S3's API does."""
    return '"' + etag.strip('"') + '"'


def utc(time: datetime) -> datetime:
    """Take a time without a zone for UTC's."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _says(row: Mapping[str, Any], name: str) -> str:
    return str(row.get(name)).lower()
