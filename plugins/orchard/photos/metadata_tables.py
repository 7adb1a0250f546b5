"""Metadata tables: what S3 Metadata writes down of a bucket, in Iceberg tables of AWS' own.

The live inventory holds every object, up to an hour late. The journal holds what happened, within minutes. Of a key
that something was deleted of, the journal does not tell what is left (with versions, an older one may have gone), so
such keys are doubtful, and S3 is asked.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import And, BooleanExpression, GreaterThanOrEqual, Or, StartsWith
from pyiceberg.table import Table
from pyiceberg.types import TimestampType

from orchard.lake.stream import stream
from orchard.photos.bucket import Page
from orchard.photos.inventory import quoted

_ROWS = 50_000  # that are held at once
_COLUMNS = ("key", "sequence_number", "is_delete_marker", "size", "last_modified_date", "e_tag")
# Of a key, the row of the largest sequence number is the newest, as text.
_NEWEST = """
SELECT key, e_tag, size, last_modified_date FROM (
    SELECT DISTINCT ON (key) * FROM {table} WHERE {only} ORDER BY key, sequence_number DESC
) WHERE NOT coalesce(is_delete_marker, false) AND NOT ends_with(key, '/')
"""
# Objects that were overwritten before S3 Metadata had looked at them have no etag.
_DOUBTFUL = """
SELECT DISTINCT key FROM events
WHERE record_type = 'DELETE' OR is_delete_marker OR (record_type = 'CREATE' AND e_tag IS NULL)
"""


class NoTablesError(ValueError):
    """There are no metadata tables of a bucket."""


@dataclass(frozen=True)
class MetadataTables:
    """Those of one bucket.

    Attributes
    ----------
    catalog : Catalog
        Of the table bucket that AWS keeps them in: an account's and region's own.
    """

    catalog: Catalog
    bucket: str

    @property
    def there(self) -> bool:
        """Whether S3 Metadata keeps tables of the bucket."""
        return self.catalog.namespace_exists(self._namespace)

    @property
    def _namespace(self) -> str:
        return f"b_{self.bucket}"

    def everything(self, db: duckdb.DuckDBPyConnection, prefixes: Sequence[str]) -> Generator[Page, None, None]:
        """Read the objects under prefixes from the live inventory."""
        db.execute("CREATE OR REPLACE TABLE objects (key VARCHAR, sequence_number VARCHAR, is_delete_marker BOOLEAN, "
                   "size BIGINT, last_modified_date TIMESTAMPTZ, e_tag VARCHAR)")  # fmt: skip
        for part in stream(self._table("inventory"), _under(prefixes), *_COLUMNS):
            db.register("part", _in_utc(part))
            db.execute(f"INSERT INTO objects SELECT {', '.join(_COLUMNS)} FROM part")
        yield from self._pages(db, _NEWEST.format(table="objects", only="true"), prefixes)
        db.execute("DROP TABLE objects")

    def changes(
        self, db: duckdb.DuckDBPyConnection, prefixes: Sequence[str], since: datetime
    ) -> Generator[Page, None, None]:
        """Read from the journal what was put since; fill `mentioned` and `doubtful` with uris before the first page."""
        db.execute("CREATE OR REPLACE TABLE events (key VARCHAR, sequence_number VARCHAR, is_delete_marker BOOLEAN, "
                   "size BIGINT, last_modified_date TIMESTAMPTZ, e_tag VARCHAR, record_type VARCHAR)")  # fmt: skip
        journal = self._table("journal")
        naive = journal.schema().find_field("record_timestamp").field_type == TimestampType()
        at = since.astimezone(UTC).replace(tzinfo=None if naive else UTC).isoformat()
        where = And(GreaterThanOrEqual("record_timestamp", at), _under(prefixes))
        columns = (*_COLUMNS, "record_type")
        for part in stream(journal, where, *columns):
            db.register("part", _in_utc(part))
            # That its metadata changed says nothing of an object's bytes, and may be of an older version.
            db.execute(
                f"INSERT INTO events SELECT {', '.join(columns)} FROM part WHERE record_type <> 'UPDATE_METADATA'"
            )
        top = f"s3://{self.bucket}/"
        db.execute("INSERT INTO mentioned SELECT DISTINCT ? || key FROM events", [top])
        db.execute(f"INSERT INTO doubtful SELECT ? || key FROM ({_DOUBTFUL}) WHERE NOT ends_with(key, '/')", [top])
        only = f"key NOT IN ({_DOUBTFUL})"
        yield from self._pages(db, _NEWEST.format(table="events", only=only), prefixes)
        db.execute("DROP TABLE events")

    def _pages(self, db: duckdb.DuckDBPyConnection, query: str, prefixes: Sequence[str]) -> Generator[Page, None, None]:
        rows = db.cursor().execute(query)
        while some := rows.fetchmany(_ROWS):
            items = [
                {"Key": key, "ETag": quoted(etag), "Size": size, "LastModified": modified}
                for key, etag, size, modified in some
            ]
            for prefix in prefixes:
                yield Page(self.bucket, prefix, [item for item in items if item["Key"].startswith(prefix)])

    def _table(self, name: str) -> Table:
        try:
            return self.catalog.load_table((self._namespace, name))
        except NoSuchTableError as error:
            raise NoTablesError(
                f"There is no table {name} of the bucket {self.bucket} in the table bucket, namespace "
                f"{self._namespace}. Switch S3 Metadata on for it, with its journal and its live inventory, or let the "
                "setting source be listing."
            ) from error


def _under(prefixes: Sequence[str]) -> BooleanExpression:
    each = [StartsWith("key", prefix) for prefix in prefixes]
    return Or(*each) if len(each) > 1 else each[0]


def _in_utc(rows: pa.Table) -> pa.Table:
    """Let times without a zone, as AWS writes them, be UTC's."""
    number = rows.schema.get_field_index("last_modified_date")
    times = rows.column(number).cast(pa.timestamp("us", "UTC"))
    return rows.set_column(number, "last_modified_date", times)
