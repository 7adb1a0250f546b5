"""Rollback: the lake as it was when a run ended; what later runs did is undone, in all tables.

No file is removed: a table's older snapshot becomes its current one. The photos that came since are new again to the
next run. To only look at an older state, read with time travel instead: nothing needs to be undone for that.
"""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from orchard.lake.home import AnotherLakeError
from orchard.lake.lease import AtWorkError, alone
from orchard.lake.tables import NoAwsError, NoLakeError, existing_catalog

_FILES = "The files under exports/ and reports/ stay as they are; the next run writes exports/ anew."


class RollbackError(ValueError):
    """The lake cannot be brought back to that state."""


@dataclass(frozen=True)
class Change:
    """What a rollback does to a table.

    Attributes
    ----------
    target : Snapshot or None
        None: the table had no rows then, and gets none.
    """

    table: Table
    target: Snapshot | None

    @property
    def name(self) -> str:
        return str(self.table.name()[-1])

    @property
    def needed(self) -> bool:
        now = self.table.current_snapshot()
        if self.target is None:
            return now is not None and _count(now) != 0
        return now is None or now.snapshot_id != self.target.snapshot_id

    def __str__(self) -> str:
        before, after = _count(self.table.current_snapshot()), _count(self.target)
        return f"{self.name:13} {before:>10,} -> {after:,} rows" if self.needed else f"{self.name:13} stays"


def changes(catalog: Catalog, database: str, run_id: str) -> list[Change]:
    """Find each table's snapshot of the time when a run ended; `runs` comes last.

    Raises
    ------
    RollbackError
        The run has not ended or is not known, or snapshots of then have expired.
    """
    runs = catalog.load_table((database, "runs"))
    ends = {row["run_id"]: row["ended_at"] for row in _ended(runs)}
    if run_id not in ends:
        raise RollbackError(f"--to {run_id}: expected a run of the lake that has ended, one of {', '.join(ends)}.")
    at = ends[run_id]
    others = sorted(name for _, name in catalog.list_tables(database) if name != "runs")
    found = [_at(catalog.load_table((database, name)), at) for name in others]
    return [*found, Change(runs, _ending_with(runs, run_id, at))]


def rollback(found: Sequence[Change]) -> None:
    """Do it; done again after it was broken off, it does the rest, since `runs` is the last to change."""
    for change in found:
        if not change.needed:
            continue
        if change.target is None:
            change.table.delete()
        else:
            change.table.manage_snapshots().set_current_snapshot(change.target.snapshot_id).commit()


def _at(table: Table, at: datetime) -> Change:
    """Find the snapshot that was current at a time."""
    target = table.snapshot_as_of_timestamp(int(at.timestamp() * 1000))
    if target is None and (first := _oldest(table)) is not None and (first.sequence_number or 0) > 1:
        raise RollbackError(
            f"Table {table.name()[-1]}: its snapshots of {at:%Y-%m-%d %H:%M} UTC have expired (setting keep_days); the "
            f"oldest is of {_time(first.timestamp_ms):%Y-%m-%d %H:%M} UTC."
        )
    return Change(table, target)


def _ending_with(runs: Table, run_id: str, at: datetime) -> Snapshot:
    """Find the snapshot of `runs` in which a run's end, which is written right after it, is the last."""
    for entry in runs.history():
        snapshot = runs.snapshot_by_id(entry.snapshot_id)
        if snapshot is not None and entry.timestamp_ms >= int(at.timestamp() * 1000):
            ends = runs.scan(snapshot_id=entry.snapshot_id, selected_fields=("ended_at",)).to_arrow()["ended_at"]
            if max(filter(None, ends.to_pylist()), default=None) == at:
                return snapshot
    raise RollbackError(f"Table runs: its snapshot of the end of {run_id} has expired (setting keep_days).")


def _oldest(table: Table) -> Snapshot | None:
    return min(table.snapshots(), key=lambda one: one.sequence_number or 0, default=None)


def _ended(runs: Table) -> list[dict[str, Any]]:
    """List the runs that ended, oldest first."""
    rows = runs.scan().to_arrow().to_pylist()
    return sorted((row for row in rows if row["ended_at"] is not None), key=lambda row: row["ended_at"])


def _count(snapshot: Snapshot | None) -> int:
    """Rows of a snapshot; those of its deletes are still counted."""
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary.additional_properties.get("total-records", 0))


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _list(runs: Table) -> None:
    rows = _ended(runs)
    for row in rows:
        # Of a run that was killed, and ended by a later one, nobody knows them.
        found = {name: "-" if row[name] is None else f"{row[name]:,}" for name in ("added", "changed", "deleted")}
        what = ", ".join(f"{number} {name}" for name, number in found.items())
        what += f", {row['relabelled']:,} relabelled" if row.get("relabelled") else ""  # an older lake has no column
        print(f"{row['ended_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC  {row['run_id']}  {what}")
    if not rows:
        print("No run has ended in this lake yet.")


def main(argv: Sequence[str]) -> int:
    """List the states that there are, or go back to one; exits with 1 where another works on the lake, with 2 else."""
    parser = argparse.ArgumentParser(prog="python -m orchard rollback", description=__doc__.partition("\n")[0])
    parser.add_argument("--lake", required=True, help="s3://bucket[/prefix] or a folder")
    parser.add_argument("--database", default="orchard", help="of the Glue Data Catalog (orchard)")
    parser.add_argument("--to", metavar="RUN_ID", help="the last run that stays; without: list the runs")
    parser.add_argument("--yes", action="store_true", help="do it; without: only show what it would do")
    options = parser.parse_args(argv)
    try:
        catalog = existing_catalog(options.lake, options.database)
        if options.to is None:
            _list(catalog.load_table((options.database, "runs")))
            return 0
        with alone(options.lake, "rollback") if options.yes else nullcontext():
            found = changes(catalog, options.database, options.to)
            print("\n".join(map(str, found)))
            needed = any(change.needed for change in found)
            if needed and options.yes:
                rollback(found)
    except NoAwsError as error:
        parser.error(str(error))
    except AtWorkError as error:
        parser.exit(1, f"{error}\n")
    except (NoLakeError, AnotherLakeError, RollbackError) as error:
        parser.exit(2, f"{error}\n")
    if not needed:
        print(f"The lake is as {options.to} left it: there is nothing to do.")
    elif options.yes:
        print(f"The lake is as {options.to} left it. {_FILES}")
    else:
        print(f"Nothing was changed: say --yes to do it. {_FILES}")
    return 0
