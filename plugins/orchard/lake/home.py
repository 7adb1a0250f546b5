"""Home: where a lake's tables were made, and whose they are.

Iceberg's metadata hold absolute addresses: a lake that was copied or moved still names its first place, and whoever
wrote to the copy would write there.
"""

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pyarrow.fs

NAME = re.compile(r"[a-z0-9_]{1,252}")  # what Glue, Athena and Iceberg all take as the name of a database


class AnotherLakeError(ValueError):
    """The tables are not this lake's: they were made elsewhere, or are another database's."""


def demand_home(root: str, table: str) -> None:
    """Refuse a table that does not stand in the lake.

    Parameters
    ----------
    root : str
        Of the lake: a folder, or ``s3://bucket[/prefix]``.
    table : str
        Address of the table, or of one of its files.

    Raises
    ------
    AnotherLakeError
        It is elsewhere; the message says how a copy becomes a lake of its own.
    """
    in_s3 = root.startswith("s3://")
    root = root.removeprefix("file://")
    below = f"{root.rstrip('/')}/tables/" if in_s3 else f"{os.path.realpath(root)}/tables/"
    address = table if in_s3 else os.path.realpath(table)
    if address.startswith(below):
        return
    if in_s3:
        raise AnotherLakeError(
            f"The tables of this database are at {table}, not in the lake {root}: they are another lake's. Give this "
            "one a database of its own (setting database); if it is a copy of that lake, make it one: "
            f"python -m spark_jobs.move_lake {root} --database NAME"
        )
    raise AnotherLakeError(
        f"The lake {root} was copied or moved: its catalog names {table}, expected an address below {below}. Nothing "
        f"was written. To make what lies here a lake of its own: python -m spark_jobs.move_lake {root}"
    )


def demand_home_of_all(folder: Path) -> None:
    """Refuse a folder whose catalog (there may be none) names tables elsewhere, as `demand_home` does."""
    file = folder / "catalog.db"
    if not file.is_file():
        return
    # Not through pyiceberg, which would read the metadata, and fails where a lake was moved.
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as catalog:
        if catalog.execute("SELECT 1 FROM sqlite_master WHERE name = 'iceberg_tables'").fetchone():
            for (address,) in catalog.execute("SELECT metadata_location FROM iceberg_tables"):
                demand_home(str(folder), address)


def demand_room(root: str, database: str, files: pyarrow.fs.FileSystem, path: str) -> None:
    """Refuse to begin a database where its name is odd, or tables lie that this catalog does not know.

    Parameters
    ----------
    files, path : FileSystem, str
        The lake's, and the lake's root in it.

    Raises
    ------
    ValueError
        Of the name.
    AnotherLakeError
        There are tables: of another database, or of a lake that was copied here.
    """
    demand_name(database)
    for folder in _folders(files, f"{path}/tables"):
        # The first commit writes a list of manifests; tables that were only begun hold nothing.
        if any("/snap-" in one for one in _files(files, f"{folder}/batches/metadata")):
            other = folder.rpartition("/")[2].removesuffix(".db")
            if other == database:
                raise AnotherLakeError(
                    f"The lake {root} holds tables of the database {other} that its catalog does not know: it was "
                    f"copied, or its catalog is lost. python -m spark_jobs.move_lake {root} --database NAME "
                    "makes it a lake again."
                )
            raise AnotherLakeError(
                f"The lake {root} is that of the database {other}: exports, reports and pictures of a second one "
                f"would take the place of its own. Give the database {database} a lake of its own (setting lake), "
                f"or name {other}."
            )


def demand_name(database: str) -> None:
    """Refuse a database's name that Glue, Athena or Iceberg would, some of them only when a cluster is rented."""
    if not NAME.fullmatch(database):
        raise ValueError(
            f"database {database!r}: expected 1 to 252 of a-z, 0-9 and _, which Glue, Athena and Iceberg all take."
        )


def _folders(files: pyarrow.fs.FileSystem, path: str) -> Sequence[str]:
    found = files.get_file_info(pyarrow.fs.FileSelector(path, allow_not_found=True))
    return [one.path for one in found if one.type == pyarrow.fs.FileType.Directory]


def _files(files: pyarrow.fs.FileSystem, path: str) -> Sequence[str]:
    return [one.path for one in files.get_file_info(pyarrow.fs.FileSelector(path, allow_not_found=True))]
