"""Where a lake is, and how Spark opens its catalog there."""

import os
from dataclasses import dataclass
from pathlib import Path

CATALOG = "orchard"


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
            return cls(text.rstrip("/"), database)
        if "://" in text and not text.startswith("file://"):
            raise ValueError(f"--lake {text}: expected a folder or s3://bucket[/prefix].")
        root = str(Path(text.removeprefix("file://")).absolute())
        if odd := set("?#%") & set(root):
            raise ValueError(
                f"--lake {root}: a folder without {' '.join(sorted(odd))}, please: it becomes part of a URL."
            )
        return cls(root, database)

    @property
    def is_s3(self) -> bool:
        return self.root.startswith("s3://")

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
