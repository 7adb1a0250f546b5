"""Rows: some columns of a small part of a table, as dicts; of a table that a step has not made yet, none.

Not for parts that may be large: all rows are held at once.
"""

from typing import Any

from pyiceberg.catalog import Catalog
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
