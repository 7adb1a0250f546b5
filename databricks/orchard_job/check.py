"""The job's last task: check that no photo of the run is lost, and keep what the run did in `runs`."""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo

from orchard.lake import accuracy
from orchard.lake.sums import Sums, sums
from orchard.lake.tables import open_catalog, replace_run
from spark_jobs.exact.basis import Request
from spark_jobs.reduce_embeddings import Options
from spark_jobs.running.objects import read_whole

_LOG = logging.getLogger("check")


class LostError(RuntimeError):
    """The sums of a run do not match."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the task's command line."""
    parser = argparse.ArgumentParser(prog="orchard-check", description=__doc__)
    parser.add_argument("--lake", required=True, help="s3://bucket[/prefix] of the lake")
    parser.add_argument("--database", default="orchard", help="database of the tables (default: orchard)")
    parser.add_argument("--run-id", required=True, help="the run")
    parser.add_argument("--extractor-id", required=True, help="its extractor")
    parser.add_argument("--variance", type=float, required=True, help="as step 2 had it")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the task from its command line.

    Raises
    ------
    LostError
        A photo of the batch is nowhere, or is there twice, or should have gone.
    """
    args = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    catalog = open_catalog(args.lake, args.database)
    judged = sums(catalog, args.database, args.run_id, args.extractor_id)
    if not judged.match:
        raise LostError(f"Run {args.run_id}: the sums do not match, so something is lost or was left: {judged}")
    replace_run(catalog, args.database, row(catalog, args, judged))
    _LOG.info("Run %s: %s", args.run_id, judged)


def row(catalog: Catalog, args: argparse.Namespace, judged: Sums) -> dict[str, Any]:
    """Put the run's row of `runs` together from its batch and from what its steps left."""
    mine = EqualTo("run_id", args.run_id)
    fields = ("action", "found_at", "label_rule")
    batch = catalog.load_table((args.database, "batches")).scan(mine, selected_fields=fields).to_arrow()
    actions = Counter(batch["action"].to_pylist())
    extracted, reduced = (
        json.loads(read_whole(f"{args.lake}/steps/{args.run_id}/{step}.json")) for step in ("extract", "reduce")
    )
    same = ("basis_id", "why", "captured_of_best", "captured")
    return {
        "run_id": args.run_id,
        "extractor_id": args.extractor_id,
        "started_at": min(batch["found_at"].to_pylist()),
        "ended_at": datetime.now(UTC),
        "added": actions["add"],
        "changed": actions["change"],
        "deleted": actions["delete"],
        "embedded": judged.embedded,
        "rejected": judged.rejected,
        "embed_seconds": extracted["seconds"],
        "cluster": "databricks",
        "relabelled": actions["relabel"],
        "label_rule": batch["label_rule"][0].as_py(),
        "options": Options(Request(None, args.variance, False)).to_json(),
        **{name: reduced[name] for name in same},
        **accuracy.columns(reduced),
        "unmade": "\n".join(reduced["unmade"]) or None,
    }
