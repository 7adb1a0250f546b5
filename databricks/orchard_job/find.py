"""The job's first task: find what is new, and fix it as the run's batch."""

import argparse
import logging
from collections.abc import Sequence

from orchard.lake import ledger
from orchard.lake.tables import open_catalog
from orchard.photos.discovery import find
from orchard.photos.label import LabelRule

_LOG = logging.getLogger("find")


class BehindError(RuntimeError):
    """Embeddings of an earlier run wait to be folded in, and nothing new came that would take them along."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the task's command line."""
    parser = argparse.ArgumentParser(prog="orchard-find", description=__doc__)
    parser.add_argument("--lake", required=True, help="s3://bucket[/prefix] of the lake")
    parser.add_argument("--database", default="orchard", help="database of the tables (default: orchard)")
    parser.add_argument("--run-id", required=True, help="name of the run; done again, it finds the same batch")
    parser.add_argument("--extractor-id", required=True, help="whose embeddings are missing")
    parser.add_argument("--photos", required=True, help="s3://bucket/prefix of the photos, or several, with commas")
    parser.add_argument("--label", default="parent", help="rule that finds a photo's label (default: parent)")
    parser.add_argument("--mass-deletion-meant", choices=("true", "false"), default="false")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the task from its command line.

    Raises
    ------
    BehindError
        The second step of an earlier run failed: that run is to be repaired.
    """
    args = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    catalog = open_catalog(args.lake, args.database)
    found = find(
        catalog,
        args.database,
        args.run_id,
        args.extractor_id,
        args.photos.split(","),
        rule=LabelRule.parse(args.label),
        mass_deletion_meant=args.mass_deletion_meant == "true",
    )
    _LOG.info("%s", found)
    waiting = ledger.behind(catalog, args.database, args.extractor_id)
    if found.nothing and waiting:
        raise BehindError(
            f"No photo is new, but the embeddings of {', '.join(waiting)} are not folded in: the second step of that "
            "run failed. Repair it (Databricks: Jobs & Pipelines, the failed run, Repair run)."
        )
    tell_the_job(anything="false" if found.nothing else "true")


def tell_the_job(**values: str) -> None:
    """Set task values, which conditions of the job read."""
    from databricks.sdk.runtime import dbutils  # only there: it comes with the runtime

    for key, value in values.items():
        dbutils.jobs.taskValues.set(key, value)
