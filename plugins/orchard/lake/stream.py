"""Stream: some columns of a large table, in bounded memory.

pyiceberg's own reader reads all files of a scan as fast as it can, and holds what nobody has taken yet: of ten million
photos, gigabytes. Here a few files are read at a time, side by side. Of each file only the footer and the chunks of the
columns asked for are read: a photo's vector, which is nearly all of it, stays where it is.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyiceberg.expressions import BooleanExpression
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table

_ROWS = 200_000  # that are held at once, or the rows of one file


def stream(table: Table, where: BooleanExpression, *fields: str) -> Iterator[pa.Table]:
    """Read columns of the rows that fit, part by part, in no order."""
    scan = table.scan(where, selected_fields=fields)
    files = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter, scan.case_sensitive)
    for tasks in _groups(scan.plan_files()):
        yield files.to_table(tasks)


def _groups(tasks: Iterable[FileScanTask]) -> Iterator[list[FileScanTask]]:
    group: list[FileScanTask] = []
    rows = 0
    for task in tasks:
        if group and rows + task.file.record_count > _ROWS:
            yield group
            group, rows = [], 0
        group.append(task)
        rows += task.file.record_count
    if group:
        yield group
