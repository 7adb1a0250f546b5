"""Parents: the lake's table `hierarchy`, which says what fruit a variety is, and by which rule that was found.

`orchard.photos.hierarchy` finds them; whoever answers by parent reads them here, and a step with Spark.
"""

from collections.abc import Mapping

import pyarrow as pa
from pyiceberg.catalog import Catalog

from orchard.lake.tables import HIERARCHY, replace_all, table_or_none

NAME = "hierarchy"


def read(catalog: Catalog, database: str) -> dict[str, str]:
    """Read {label: parent}; a label that is not in it is its own parent."""
    return {
        label: parent
        for label, (parent, _) in _rows(catalog, database).items()
        if label is not None and parent is not None
    }


def rule(catalog: Catalog, database: str) -> str | None:
    """Return the rule that the lake's parents were found by; None where it has none."""
    return next((text for _, text in _rows(catalog, database).values()), None)


def write(catalog: Catalog, database: str, rule: str, parents: Mapping[str, str], listed: set[str] | None) -> bool:
    """Let the table hold these parents; say whether it held others, or another rule.

    Parameters
    ----------
    listed : set of str or None
        Labels that were looked at: of all others, what the same rule found before stays. None: `parents` is all.
    """
    there = _rows(catalog, database)
    kept: dict[str | None, tuple[str | None, str]] = {}
    if listed is not None:
        kept = {label: row for label, row in there.items() if label not in {None, *listed} and row[1] == rule}
    rows: dict[str | None, tuple[str | None, str]] = kept | {label: (parent, rule) for label, parent in parents.items()}
    if not rows and rule != "none":
        rows = {None: (None, rule)}  # by which no label has a parent yet, and tomorrow's may
    if rows == there:
        return False
    table = catalog.create_table_if_not_exists((database, NAME), HIERARCHY)
    listing = [{"label": label, "parent": parent, "rule": text} for label, (parent, text) in rows.items()]
    replace_all(table, pa.Table.from_pylist(listing, table.schema().as_arrow()))
    return True


def _rows(catalog: Catalog, database: str) -> dict[str | None, tuple[str | None, str]]:
    table = table_or_none(catalog, database, NAME)
    if table is None:
        return {}
    return {row["label"]: (row["parent"], row["rule"]) for row in table.scan().to_arrow().to_pylist()}
