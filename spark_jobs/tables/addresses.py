"""Addresses: those that Iceberg's metadata files hold of one another and of data, written anew for another place.

Three kinds of files hold addresses: a table's metadata (JSON), lists of manifests and manifests (both Avro). Iceberg's
own action for it, RewriteTablePath, reads a table where its metadata say that it is, where a moved one is not.
"""

import io
import json
from dataclasses import dataclass
from typing import Any

from pyiceberg.avro.file import AvroFile, AvroOutputFile
from pyiceberg.typedef import Record
from pyiceberg.types import StructType

_DELETED = 2  # status of a manifest's entry: https://iceberg.apache.org/spec/#manifests
_DATA = 0  # content of a manifest, or of a file


class AddressError(ValueError):
    """The tables hold what cannot be written anew."""


@dataclass(frozen=True)
class Move:
    """From one root of a lake to another; neither ends with a slash."""

    old: str
    new: str

    def __call__(self, address: str) -> str:
        """Write an address anew; one that is below the new root already, or elsewhere, stays."""
        return self.new + address[len(self.old) :] if address.startswith(f"{self.old}/") else address


def metadata(data: bytes, move: Move) -> bytes:
    """Write a table's metadata anew."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(one) for key, one in value.items()}
        if isinstance(value, list):
            return [moved(one) for one in value]
        return move(value) if isinstance(value, str) else value

    return json.dumps(moved(json.loads(data))).encode()


def location(data: bytes) -> str:
    """Say where a table is, by its metadata."""
    return str(json.loads(data)["location"])


def newest_list(data: bytes) -> str | None:
    """Name the list of manifests that a table's metadata hold for now; None where nothing was written yet."""
    held = json.loads(data)
    lists = {one["snapshot-id"]: one["manifest-list"] for one in held.get("snapshots", [])}
    return lists.get(held.get("current-snapshot-id"))


def manifest_list(data: bytes, move: Move, lengths: dict[str, int]) -> tuple[bytes, list[str]]:
    """Write a list of manifests anew, and name them.

    Parameters
    ----------
    lengths : dict of str to int
        Bytes of each manifest, by its new address.

    Raises
    ------
    AddressError
        A manifest of deletes is among them: Orchard's tables have none, and what those hold would have to move, too.
    """
    file, records = _read(data)
    for record in records:
        path = move(_get(file, record, "manifest_path"))
        if _get(file, record, "content") != _DATA:
            raise AddressError(f"{path} holds deletes of rows, as Orchard writes none: another program wrote there.")
        _set(file, record, "manifest_path", path)
        if path in lengths:  # one that has expired may be gone
            _set(file, record, "manifest_length", lengths[path])
    return _write(file, records, "manifest_file"), [_get(file, record, "manifest_path") for record in records]


def manifest(data: bytes, move: Move) -> tuple[bytes, list[str]]:
    """Write a manifest anew, and name the files of data that it holds live."""
    file, records = _read(data)
    kind = file.schema.find_field("data_file").field_type
    assert isinstance(kind, StructType)
    place = [field.name for field in kind.fields].index("file_path")
    live = []
    for record in records:
        entry = _get(file, record, "data_file")
        entry._data[place] = move(entry[place])
        if _get(file, record, "status") != _DELETED:
            live.append(entry[place])
    return _write(file, records, "manifest_entry"), live


class _Bytes(io.BytesIO):
    """Bytes that pyiceberg takes for a file to read and to write."""

    written = b""

    def open(self) -> "_Bytes":
        return self

    def create(self, overwrite: bool = False) -> "_Bytes":
        return self

    def close(self) -> None:
        self.written = self.getvalue()
        super().close()


def _read(data: bytes) -> tuple[AvroFile[Record], list[Record]]:
    with AvroFile[Record](_Bytes(data)) as file:  # type: ignore[arg-type]
        return file, list(file)


def _write(file: AvroFile[Record], records: list[Record], name: str) -> bytes:
    out = _Bytes()
    with AvroOutputFile[Record](out, file.schema, name, metadata=dict(file.header.meta)) as target:  # type: ignore[arg-type]
        target.write_block(records)
    return out.written


def _place(file: AvroFile[Record], name: str) -> int:
    return [field.name for field in file.schema.fields].index(name)


def _get(file: AvroFile[Record], record: Record, name: str) -> Any:
    return record[_place(file, name)]


def _set(file: AvroFile[Record], record: Record, name: str, value: Any) -> None:
    record._data[_place(file, name)] = value
