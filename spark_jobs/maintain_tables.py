"""Table maintenance: small files together, old snapshots and files that nobody refers to away, and bases of before.

No other row goes or changes.

Files are put together within a partition only, so that a run's part stays whole files, which it can be replaced by.
Needs no extension of Spark's SQL: these are the actions that Iceberg's procedures of the same names call.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from spark_jobs.running.outcome import Outcome
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.location import REFUSALS, LakeLocation
from spark_jobs.tables.session import log_to_stderr, open_lake

_LOG = logging.getLogger("maintain")
MAINTAINED = "orchard.maintained-at"  # property of `batches`, which plugins/orchard/lake/ledger.py reads
KEPT_SNAPSHOTS = 10  # of each table at least, however old: the last days that anything happened
ORPHAN_DAYS = 3  # Iceberg's own default: what is younger may belong to a commit that is just being made


@dataclass(frozen=True)
class Maintained:
    """What was done to the tables, together; bytes and files of their current snapshots.

    Attributes
    ----------
    snapshots_expired : int
        They cannot be travelled back to any more.
    files_deleted : int
        Of data and metadata, that only those snapshots referred to.
    orphans_deleted : int
        Files that no snapshot referred to: a job was killed before it committed them.
    """

    tables: int = 0
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    manifests_before: int = 0
    manifests_after: int = 0
    snapshots_expired: int = 0
    files_deleted: int = 0
    orphans_deleted: int = 0

    def __add__(self, other: "Maintained") -> "Maintained":
        return Maintained(*(mine + theirs for mine, theirs in zip(self._counts(), other._counts(), strict=True)))

    def _counts(self) -> tuple[int, ...]:
        return tuple(vars(self).values())


def maintain(lake: Lake, keep_days: float, now: datetime | None = None) -> Maintained:
    """Maintain every table of the lake; a killed or failed maintenance is simply done again.

    Parameters
    ----------
    keep_days : float
        Snapshots that are younger stay, for time travel.
    now : datetime, optional
        What ages are counted from.
    """
    now = now or datetime.now(UTC)
    total = Maintained()
    _forget_bases(lake, now - timedelta(days=keep_days))
    for name in sorted(lake.tables()):
        done = _maintain_table(lake, name, now - timedelta(days=keep_days), now - timedelta(days=ORPHAN_DAYS))
        _LOG.info("%s: %s", name, done)
        total += done
    # The last act: what was not maintained to its end is due again.
    when = now.isoformat(timespec="seconds")
    lake.spark.sql(f"ALTER TABLE {lake.name('batches')} SET TBLPROPERTIES ('{MAINTAINED}' = '{when}')")
    return total


def _forget_bases(lake: Lake, fitted_before: datetime) -> None:
    """Delete old bases in which no coordinates stand, of 13 MB each at 1,280 numbers; an extractor's newest stays."""
    if not {"bases", "coordinates"} <= lake.tables():
        return
    used = {(part.extractor_id, part.basis_id) for part in lake.partitions("coordinates").collect()}
    rows = lake.single_rows("bases", "created_at")
    newest = {row.extractor_id: row.created_at for row in sorted(rows, key=lambda row: row.created_at)}
    for row in rows:
        spare = (row.extractor_id, row.basis_id) not in used and row.created_at < newest[row.extractor_id]
        if spare and row.created_at.astimezone(UTC) < fitted_before:
            lake.delete("bases", extractor_id=row.extractor_id, basis_id=row.basis_id)


def _maintain_table(lake: Lake, name: str, expire_before: datetime, orphans_before: datetime) -> Maintained:
    iceberg = lake.spark._jvm.org.apache.iceberg  # type: ignore[union-attr]
    table = lake.iceberg(name)
    lake.location.demand_home(table.location())  # what lies elsewhere may be another lake's: no file of it is an orphan
    actions = iceberg.spark.actions.SparkActions.get(lake.spark._jsparkSession)
    done = Maintained(tables=1)
    if table.currentSnapshot() is not None:
        files, size, manifests = _measure(lake, name)
        done = replace(done, files_before=files, bytes_before=size, manifests_before=manifests)
        # Two files of a partition are already worth it: a day's are small, and there is a partition a day.
        actions.rewriteDataFiles(table).binPack().option("min-input-files", "2").execute()
        table.refresh()
        actions.rewriteManifests(table).execute()
        table.refresh()
        before = _snapshots(table)
        expired = (
            actions.expireSnapshots(table).expireOlderThan(_millis(expire_before)).retainLast(KEPT_SNAPSHOTS).execute()
        )
        table.refresh()
        files, size, manifests = _measure(lake, name)
        done = replace(
            done,
            files_after=files,
            bytes_after=size,
            manifests_after=manifests,
            snapshots_expired=before - _snapshots(table),
            files_deleted=expired.deletedDataFilesCount()
            + expired.deletedPositionDeleteFilesCount()
            + expired.deletedEqualityDeleteFilesCount()
            + expired.deletedManifestsCount()
            + expired.deletedManifestListsCount(),
        )
    # Listed through the table's own file access: there need be no Hadoop file system for S3.
    orphans = actions.deleteOrphanFiles(table).usePrefixListing(True).olderThan(_millis(orphans_before)).execute()
    return replace(done, orphans_deleted=sum(1 for _ in orphans.orphanFileLocations()))


def _measure(lake: Lake, name: str) -> tuple[int, int, int]:
    """Count data files, their bytes, and manifests of a table as it is now."""
    files: Any = lake.spark.sql(
        f"SELECT count(*), coalesce(sum(file_size_in_bytes), 0) FROM {lake.name(name)}.files"
    ).first()
    manifests: Any = lake.spark.sql(f"SELECT count(*) FROM {lake.name(name)}.manifests").first()
    return int(files[0]), int(files[1]), int(manifests[0])


def _snapshots(table: Any) -> int:
    return sum(1 for _ in table.snapshots())


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, which is the contract with the control plane."""
    parser = argparse.ArgumentParser(prog="maintain_tables", description=__doc__)
    parser.add_argument("--lake", required=True, help="folder or s3://bucket[/prefix] of the lake")
    parser.add_argument("--database", default="orchard", help="database of the tables (default: orchard)")
    parser.add_argument("--run-id", required=True, help="the run that this is a step of")
    parser.add_argument("--keep-days", type=float, default=30.0, help="snapshots stay for so long (default: 30)")
    args = parser.parse_args(argv)
    if not args.keep_days >= 0:
        parser.error(f"--keep-days: expected 0 or more, got {args.keep_days:g}.")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the maintenance from its command line."""
    args = parse(argv)
    log_to_stderr()
    location = LakeLocation.of(args)
    with Outcome(location.root, args.run_id, "maintain").told(*REFUSALS) as outcome:
        lake = open_lake(location, f"orchard maintain {args.run_id}")
        maintained = maintain(lake, args.keep_days)
        _LOG.info("%s", maintained)
        outcome.succeeded(maintained)


if __name__ == "__main__":
    main()
