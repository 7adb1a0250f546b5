"""Where a lake is, and how Spark opens its catalog there."""

import argparse
import os
import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

CATALOG = "orchard"
_NAME = re.compile(r"[a-z0-9_]{1,252}")  # what Glue, Athena and Iceberg all take


class MovedError(ValueError):
    """The lake was copied or moved: its tables are elsewhere."""


class NoDatabaseError(ValueError):
    """The lake has no such database, or there is no lake."""


REFUSALS = (MovedError, NoDatabaseError)  # of a step, whatever it was to do


@dataclass(frozen=True)
class LakeLocation:
    """Where a lake is: a folder (Iceberg in a SQLite catalog) or an S3 prefix (Iceberg in Glue).

    Attributes
    ----------
    root : str
        An absolute path, or ``s3://bucket[/prefix]``; without a slash at the end.
    database : str
        Name of the database in the catalog.
    """

    root: str
    database: str = "orchard"

    @classmethod
    def parse(cls, text: str, database: str = "orchard") -> "LakeLocation":
        """Take a folder (made when missing, by whoever writes), ``file://`` or ``s3://`` address."""
        if text.startswith("s3://"):
            if not text.removeprefix("s3://").strip("/"):
                raise ValueError(f"--lake {text}: expected s3://bucket or s3://bucket/prefix.")
            if not _NAME.fullmatch(database):
                raise ValueError(f"--database {database}: expected 1 to 252 of a-z, 0-9 and _, as Glue asks for.")
            return cls(text.rstrip("/"), database)
        if "://" in text and not text.startswith("file://"):
            raise ValueError(f"--lake {text}: expected a folder or s3://bucket[/prefix].")
        root = str(Path(text.removeprefix("file://")).absolute())
        if odd := set("?#%") & set(root):
            raise ValueError(
                f"--lake {root}: a folder without {' '.join(sorted(odd))}, please: it becomes part of a URL."
            )
        return cls(root, database)

    @classmethod
    def of(cls, args: argparse.Namespace) -> "LakeLocation":
        """Take a step's ``--lake`` and ``--database``, or end the process with a sentence and status 2."""
        try:
            location = cls.parse(args.lake, args.database)
            if not location.is_s3:
                location.demand_home(*location.catalogued())
                location.demand_database()
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        return location

    @property
    def is_s3(self) -> bool:
        return self.root.startswith("s3://")

    def demand_home(self, *addresses: str) -> None:
        """Refuse tables that are not in this lake; orchard.lake.home says why.

        Parameters
        ----------
        addresses : str
            Of tables, or of files of theirs.

        Raises
        ------
        MovedError
            One of them is elsewhere.
        """
        below = f"{self.root if self.is_s3 else os.path.realpath(self.root)}/tables/"
        for address in addresses:
            if not (address if self.is_s3 else os.path.realpath(address)).startswith(below):
                raise MovedError(
                    f"The lake {self.root} was copied or moved: its catalog names {address}, expected an address below "
                    f"{below}. Nothing was written. To make what lies here a lake of its own: "
                    f"python -m spark_jobs.move_lake {self.root}"
                )

    def catalogued(self) -> list[str]:
        """List the files that a folder's catalog names."""
        return [address for _, address in self._tables()]

    def _tables(self) -> list[tuple[str, str]]:
        """Database and metadata of each table of a folder's catalog."""
        file = Path(self.root, "catalog.db")
        if not file.is_file():
            return []
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as catalog:
            if not catalog.execute("SELECT 1 FROM sqlite_master WHERE name = 'iceberg_tables'").fetchone():
                return []
            return catalog.execute("SELECT table_namespace, metadata_location FROM iceberg_tables").fetchall()

    def demand_database(self) -> None:
        """Refuse a database that a folder's catalog has not: a step finds its tables there, and makes no lake.

        Raises
        ------
        NoDatabaseError
        """
        there = self.databases()
        if not there:
            raise NoDatabaseError(
                f"There is no lake at {self.root}: `python -m spark_jobs.run_local PHOTOS --lake DIR` makes one."
            )
        if self.database not in there:
            raise NoDatabaseError(
                f"The lake {self.root} has no database {self.database!r}, expected {' or '.join(there)} (--database)."
            )

    def databases(self) -> list[str]:
        """List the databases of a folder's catalog; none where there is no lake."""
        return sorted({database for database, _ in self._tables()})

    def spark_settings(self) -> dict[str, str]:
        """Return Spark's settings of the catalog; the AWS endpoint and region come from AWS' own variables."""
        if not self.is_s3:
            settings = {
                "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
                # Waits while pyiceberg writes, rather than failing at once.
                "uri": f"jdbc:sqlite:{self.root}/catalog.db?busy_timeout=30000",
                "jdbc.schema-version": "V1",
                "warehouse": f"{self.root}/tables",
                "cache-enabled": "false",  # a cache around the catalog would keep it from being closed
            }
        else:
            settings = {
                "catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
                "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
                "warehouse": f"{self.root}/tables",
            }
            if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
                settings["client.region"] = region
            for service in ("s3", "glue"):
                endpoint = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}", os.environ.get("AWS_ENDPOINT_URL"))
                if endpoint:
                    settings[f"{service}.endpoint"] = endpoint
                    settings["s3.path-style-access"] = "true"
        prefix = f"spark.sql.catalog.{CATALOG}"
        return {prefix: "org.apache.iceberg.spark.SparkCatalog"} | {f"{prefix}.{k}": v for k, v in settings.items()}
