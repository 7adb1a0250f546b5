"""Make a lake that was copied or moved one of its own: its tables name this place instead of the one they came from.

python -m spark_jobs.move_lake backup/

Only what lies in the lake named is written; the original, if it is still there, stays as it is. Without Spark.
"""

import argparse
import re
import shutil
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import ObjectStore

from orchard.lake.home import demand_name
from orchard.lake.tables import NoLakeError, register
from spark_jobs.running.objects import open_root
from spark_jobs.running.output import end
from spark_jobs.tables import addresses
from spark_jobs.tables.addresses import AddressError, Move
from spark_jobs.tables.location import LakeLocation

_METADATA = re.compile(r"(?P<table>tables/[^/]+/[^/]+)/metadata/(?P<version>\d+)-[^/]+\.metadata\.json")


@dataclass(frozen=True)
class Moved:
    """What was written anew: tables, and files of their metadata."""

    old: str
    new: str
    tables: tuple[str, ...]
    files: int


def move_lake(location: LakeLocation) -> Moved:
    """Write the addresses in a lake's tables anew, and its catalog last; killed, it is simply done again.

    A folder brings its catalog along. For S3 the newest metadata of each table are registered in the database, which
    must not have those tables yet.

    Raises
    ------
    NoLakeError
        There are no tables.
    AddressError
        The copy is not whole, or holds what would lead to the original's files.
    """
    if not location.is_s3:
        _refuse_links(Path(location.root))
    store = open_root(location.root)
    files = {str(one["path"]) for batch in obstore.list(store, "tables") for one in batch}
    in_force = _in_force(location, store, files)
    if not in_force:
        raise NoLakeError(f"There is no lake at {location.root}: expected tables below {location.root}/tables/.")
    new = location.root if location.is_s3 else str(Path(location.root).resolve())
    old = {*in_force.values()} - {new} or {new}
    if len(old) > 1:
        raise AddressError(f"The tables were made in {len(old)} lakes, expected one: {', '.join(sorted(old))}.")
    move = Move(old.pop(), new)
    tables = tuple(sorted(path.split("/")[2] for path in in_force))
    written = 0
    if move.old != move.new:
        written = _write_all(store, files, [*in_force], move)
        if not location.is_s3:
            _write_catalog(Path(location.root, "catalog.db"), move)
    if location.is_s3:
        register(location.root, location.database, [f"{location.root}/{path}" for path in in_force])
    return Moved(move.old, move.new, tables, written)


def _refuse_links(root: Path) -> None:
    for folder in (root / "catalog.db", root / "tables", *(root / "tables").rglob("*")):
        if folder.is_symlink():
            raise AddressError(
                f"{folder} is a link to {folder.resolve()}: expected a copy. Copy what it leads to in its place."
            )


def _in_force(location: LakeLocation, store: ObjectStore, files: set[str]) -> dict[str, str]:
    """Find each table's metadata in force, as a path below the root, and the root that it was made at."""
    if not location.is_s3:
        parts = (address.split("/") for address in location.catalogued())
        return {"/".join(one[-5:]): "/".join(one[:-5]) for one in parts}  # root/tables/database/table/metadata/file
    tables = defaultdict(list)
    for path in files:
        if found := _METADATA.fullmatch(path):
            tables[found["table"]].append((int(found["version"]), path))
    newest = (max(versions)[1] for versions in tables.values())
    return {path: addresses.location(_get(store, path)).rsplit("/", 3)[0] for path in newest}


def _write_all(store: ObjectStore, files: set[str], in_force: Sequence[str], move: Move) -> int:
    """Write manifests, then their lists, then metadata, those in force last: they tell where the lake was made."""
    lengths: dict[str, int] = {}
    live: dict[str, list[str]] = {}
    manifests: dict[str, list[str]] = {}
    new: dict[str, bytes] = {}
    avro = [path for path in files if path.endswith(".avro")]
    for path in sorted(avro, key=lambda path: "/metadata/snap-" in path):
        address = f"{move.new}/{path}"
        if "/metadata/snap-" in path:
            new[path], manifests[address] = addresses.manifest_list(_get(store, path), move, lengths)
        else:
            new[path], live[address] = addresses.manifest(_get(store, path), move)
            lengths[address] = len(new[path])
    for path in sorted(filter(_METADATA.fullmatch, files), key=lambda path: path in in_force):
        new[path] = addresses.metadata(_get(store, path), move)
    _demand_whole([addresses.newest_list(new[path]) for path in in_force], manifests, live, files, move)
    for path, data in new.items():
        _put(store, path, data)
    return len(new)


def _demand_whole(
    snapshots: Sequence[str | None],
    manifests: dict[str, list[str]],
    live: dict[str, list[str]],
    files: set[str],
    move: Move,
) -> None:
    """Refuse a copy that lacks files of what the tables hold now."""
    there = {f"{move.new}/{path}" for path in files}
    for snapshot in filter(None, snapshots):
        held = manifests.get(snapshot, [])
        for file in (snapshot, *held, *(one for manifest in held for one in live.get(manifest, []))):
            if file not in there:
                raise AddressError(f"{file} is missing: the copy is not whole. Copy the lake {move.old} again.")


def _get(store: ObjectStore, path: str) -> bytes:
    return obstore.get(store, path).bytes().to_bytes()


def _put(store: ObjectStore, path: str, data: bytes) -> None:
    """Replace a file as a whole, so that what shares its bytes (a hard link) keeps them; and its checksum, Hadoop's."""
    obstore.put(store, path, data)
    folder, _, name = path.rpartition("/")
    with suppress(FileNotFoundError):
        obstore.delete(store, f"{folder}/.{name}.crc")


def _write_catalog(file: Path, move: Move) -> None:
    new = file.with_name("catalog.db.moved")
    shutil.copyfile(file, new)
    with closing(sqlite3.connect(new)) as catalog, catalog:
        for column in ("metadata_location", "previous_metadata_location"):
            held = catalog.execute(f"SELECT rowid, {column} FROM iceberg_tables WHERE {column} IS NOT NULL").fetchall()
            catalog.executemany(
                f"UPDATE iceberg_tables SET {column} = ? WHERE rowid = ?", [(move(old), row) for row, old in held]
            )
    new.replace(file)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spark_jobs.move_lake", description=__doc__)
    parser.add_argument("lake", metavar="LAKE", help="the copy: a folder, or s3://bucket[/prefix]")
    parser.add_argument("--database", help="in S3: the database of Glue that its tables become (default: orchard)")
    args = parser.parse_args(argv)
    try:
        database = "orchard" if args.database is None else args.database
        demand_name(database)
        location = LakeLocation.parse(args.lake, database)
        there = location.databases()
        if args.database is not None and there and database not in there:
            raise NoLakeError(
                f"--database {database}: the catalog of a lake in a folder comes with it, and this one's has "
                f"{' and '.join(there)}. Leave the option out: it is for S3."
            )
        moved = move_lake(location)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if moved.old == moved.new and not moved.files:
        print(f"The tables of {moved.new} name it already ({', '.join(moved.tables)}).")
    else:
        print(f"The lake {moved.new} is its own now, no more a copy of {moved.old}: {', '.join(moved.tables)}.")
    return 0


if __name__ == "__main__":
    end(main)
