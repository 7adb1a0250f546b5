"""Rows: some columns of a small part of a table, as dicts; of a table that a step has not made yet, none.

Not for parts that may be large: all rows are held at once.
"""

from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import And, BooleanExpression, EqualTo

from orchard.lake.tables import table_or_none


def equal(**columns: Any) -> BooleanExpression:
    """Demand values of columns."""
    first, *others = (EqualTo(name, value) for name, value in columns.items())
    return And(first, *others) if others else first


def rows(catalog: Catalog, database: str, name: str, where: BooleanExpression, *fields: str) -> list[dict[str, Any]]:
    """Read rows; all columns where none is named."""
    table = table_or_none(catalog, database, name)
    if table is None:
        return []
    found: list[dict[str, Any]] = table.scan(where, selected_fields=fields or ("*",)).to_arrow().to_pylist()
    return found


def single_rows(
    catalog: Catalog, database: str, name: str, where: BooleanExpression, *columns: str
) -> list[dict[str, Any]]:
    """Read rows of a table that has a row a part from the bounds in its metadata: no file is opened.

    Parameters
    ----------
    where : BooleanExpression
        On what the table is partitioned by.
    columns : str
        Partitions, or numbers, none of which is null.
    """
    table = table_or_none(catalog, database, name)
    if table is None:
        return []
    fields = [table.schema().find_field(column) for column in columns]
    partitions = {field.source_id: place for place, field in enumerate(table.spec().fields)}
    found = []
    for task in table.scan(where).plan_files():
        file = task.file
        found.append(
            {
                field.name: file.partition[partitions[field.field_id]]
                if field.field_id in partitions
                else from_bytes(field.field_type, file.lower_bounds[field.field_id])  # type: ignore[arg-type]
                for field in fields
            }
        )
    return found
