"""Discovery and both steps on one machine: a folder of photos (or an S3 prefix) in, a lake out.

For a data scientist without Airflow or AWS. It plays the control plane's part itself, so it is the one module of
spark_jobs that uses plugins/orchard (which needs no Airflow for this).
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spark_jobs.tables import shell  # first: see there

# isort: split
from pyarrow.fs import LocalFileSystem

from orchard.lake import accuracy, ledger, parents
from orchard.lake.home import demand_name, demand_room
from orchard.lake.lease import AtWorkError, alone
from orchard.lake.tables import RUNS, ConflictError, asking_aws, open_catalog
from orchard.photos.discovery import find
from orchard.photos.found import Found
from orchard.photos.hierarchy import NONE, Hierarchy
from orchard.photos.label import PARENT, LabelRule, without_label
from orchard.photos.listing import canonical_prefix, uri_prefix
from orchard.photos.losses import MassDeletionError
from orchard.photos.sieve import LEAVE_OUT, told
from orchard.photos.strays import demand_apart
from spark_jobs.extract_embeddings import Extracted, extract
from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.engines import ENGINES
from spark_jobs.reduce_embeddings import Options, Reduced, add_options, read_options, reduce_run
from spark_jobs.running import shelf
from spark_jobs.running.conflict import conflict
from spark_jobs.running.output import end
from spark_jobs.tables.lake import Lake
from spark_jobs.tables.location import LakeLocation
from spark_jobs.tables.process import ended_by_interrupt
from spark_jobs.tables.session import log_to_stderr, open_lake

_LOG = logging.getLogger("run_local")


@dataclass(frozen=True)
class Done:
    """One run, from discovery to the recogniser; None for what was not needed."""

    run_id: str
    extractor_id: str
    found: Found | None = None
    extracted: Extracted | None = None
    reduced: Reduced | None = None
    rejects: tuple[tuple[str, str], ...] = ()  # uri and reason of the first few


def run_local(
    photos: str,
    location: LakeLocation,
    artefact: str | None = None,
    options: Options | None = None,
    engine: str = "openvino",
    *,
    label: str | None = None,
    leave_out: Sequence[str] = LEAVE_OUT,
    taken_out: str | None = None,
    hierarchy: str | None = None,
    mass_deletion_meant: bool = False,
) -> list[Done]:
    """Bring a lake up to date with a folder of photos.

    Runs that were killed before their end are done again first. Where no photo was added, changed, deleted or
    relabelled, basis and labels in use are those asked for, and the last run made all that it should, nothing is done,
    and Spark does not even start.

    Parameters
    ----------
    photos : str
        A folder, or ``s3://bucket/prefix``.
    artefact : str, optional
        Default: the one that the lake's newest run used; for a new lake ImageNet's (`shelf.put_default`).
    label : str, optional
        Rule that finds a photo's label (`LabelRule`). Default: the lake's newest; for a new lake ``parent``.
    leave_out : sequence of str
        Patterns of names that are no photos (`orchard.photos.sieve`).
    taken_out : str, optional
        A folder or prefix that is not `photos`, and whose photos leave the lake.
    hierarchy : str, optional
        What finds the parents of labels (`Hierarchy`). Default: the lake's; a new lake has none.

    Returns
    -------
    list of Done
        What was done, in order; the last one is what was found now, even if that was nothing.
    """
    options = options or Options()
    asked_rule = None if label is None else LabelRule.parse(label)
    asked_hierarchy = None if hierarchy is None else Hierarchy.parse(hierarchy)
    _refuse(photos, location, taken_out)
    given = None if artefact is None else shelf.load(artefact)
    shell.clean(os.environ)  # spark-submit never starts this
    with alone(location.root, "run_local"):
        catalog = open_catalog(location.root, location.database)
        extractor_id = _extractor(location.root, given, ledger.newest(catalog, location.database)).extractor_id
        before = ledger.newest(catalog, location.database, extractor_id)
        killed = ledger.unfinished(catalog, location.database)
        in_use = ledger.label_rule(catalog, location.database) or PARENT.text
        rule = asked_rule or LabelRule.parse(in_use)
        parents_by = asked_hierarchy or Hierarchy.parse(parents.rule(catalog, location.database) or NONE)
        run = ledger.Run(f"local-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z", extractor_id)
        # All that pyiceberg writes comes before Spark, which then keeps a lock on a SQLite catalog.
        started = time.monotonic()
        found = find(
            catalog,
            location.database,
            *run,
            [photos],
            rule=rule,
            mass_deletion_meant=mass_deletion_meant,
            leave_out=leave_out,
            taken_out=taken_out,
            hierarchy=parents_by,
        )
        seconds = time.monotonic() - started
        # A rule that changes no label is kept in `runs` by a run all the same.
        asked_anew = before is not None and (
            options.refit == "always"
            or before["options"] != options.to_json()
            or rule.text != in_use
            or before["unmade"] is not None
        )
        if found.nothing and not killed and not asked_anew:
            return [Done(*run, found)]
        lake = open_lake(location, f"orchard {run.run_id}")
        with ended_by_interrupt(), closing(lake):
            done = []
            for again in killed:
                _LOG.info("Run %s was killed before its end: it is done again.", again.run_id)
                done.append(_steps(lake, again, None, 0.0, options, engine))
            return [*done, _steps(lake, run, found, seconds, options, engine)]


def _steps(
    lake: Lake, run: ledger.Run, found: Found | None, find_seconds: float, options: Options, engine: str
) -> Done:
    """Do both steps of a run, and write its row of `runs`, which says that it reached its end."""
    started = time.monotonic()
    began = datetime.now(UTC)
    mine = {"extractor_id": run.extractor_id, "run_id": run.run_id}
    extracted, rejects = Extracted(), []
    if found is None or not found.nothing:
        extracted = extract(lake, *run, shelf.address(lake.location.root, run.extractor_id), engine)
        rejects = lake.table("rejects", **mine).orderBy("uri").limit(10).select("uri", "reason").collect()
    extracted_at = time.monotonic()
    reduced = reduce_run(lake, run.run_id, run.extractor_id, options)
    batch = None if found else lake.table("batches", **mine).select("label_rule").first()
    row: dict[str, Any] = {
        **mine,
        "started_at": began,
        "ended_at": datetime.now(UTC),
        "added": found.added if found else None,
        "changed": found.changed if found else None,
        "deleted": found.deleted if found else None,
        "embedded": extracted.embedded,
        "rejected": extracted.rejected,
        "find_seconds": find_seconds,
        "extract_seconds": extracted_at - started,
        "reduce_seconds": time.monotonic() - extracted_at,
        "cluster": "local",
        "cost_dollars": 0.0,
        "basis_id": reduced.basis_id,
        "why": reduced.why,
        "captured_of_best": reduced.captured_of_best,
        "captured": reduced.captured,
        **accuracy.columns(asdict(reduced)),
        "options": options.to_json(),
        "listed": found.listed if found else None,
        "left": found.left if found else None,
        "embed_seconds": extracted.seconds,
        "vcpus": lake.spark.sparkContext.defaultParallelism,
        "relabelled": found.relabelled if found else extracted.relabelled,
        "label_rule": found.rule if found else batch and batch.label_rule,
        "left_out": sum(found.left_out.values()) if found else None,
        "left_out_kinds": json.dumps(found.left_out) if found else None,
        "notes": json.dumps(found.notes) if found else None,
        "unmade": "\n".join(reduced.unmade) or None,
    }
    row |= dict.fromkeys(set(RUNS.column_names) - row.keys())  # what only a rented cluster has
    lake.replace_row("runs", row, run_id=run.run_id)
    return Done(*run, found, extracted, reduced, tuple((reject.uri, reject.reason) for reject in rejects))


def _refuse(photos: str, location: LakeLocation, taken_out: str | None) -> None:
    """Refuse what cannot be meant, before a lake is made: places, and the name of a database.

    Raises
    ------
    ValueError, NotADirectoryError
    """
    prefix, root = canonical_prefix(photos), location.root
    if prefix.startswith(uri_prefix(root)):
        raise ValueError(f"{photos}: expected a place beside the lake {root}, whose own pictures are no photos.")
    if taken_out is not None:
        demand_apart(taken_out, [prefix])
    if location.is_s3:
        return
    if file := next((one for one in (Path(root), *Path(root).parents) if one.exists() and not one.is_dir()), None):
        raise NotADirectoryError(f"--lake {root}: expected a folder, or none yet; {file} is a file.")
    location.demand_home(*location.catalogued())
    if location.database not in (there := location.databases()):
        demand_name(location.database)
        demand_room(root, location.database, LocalFileSystem(), root)
    if taken_out is not None and not there:
        raise ValueError(
            f"--take-out {taken_out}: expected a prefix that the lake holds photos under; there is no lake at {root}."
        )


def _extractor(root: str, given: Extractor | None, newest: dict[str, Any] | None) -> Extractor:
    """Put the artefact that is asked for on the lake's shelf, or take the one that the newest run used."""
    if given is not None:
        return shelf.put(root, given)
    return shelf.take(root, newest["extractor_id"]) if newest else shelf.put_default(root)


def describe(done: Done) -> str:
    """Say what a run did, for a person."""
    lines = [f"Run {done.run_id}, extractor {done.extractor_id}"]
    if found := done.found:
        lines.append(
            f"  photos      {found.listed:,} listed: {found.added:,} new, {found.changed:,} changed, "
            f"{found.deleted:,} deleted"
            + (f", {found.relabelled:,} relabelled by the rule {found.rule}" if found.relabelled else "")
            + (f"; left out: {told(found.left_out)}" if found.left_out else "")
            + (" (no photo was found there)" if found.listed == sum(found.left_out.values()) else "")
        )
        if found.unlabelled:
            lines.append(f"  no label    {without_label(found.unlabelled, found.rule, found.examples)}")
        lines += [f"  note        {note}" for note in found.notes]
    if done.extracted is None or done.reduced is None:
        return "\n".join([*lines, "  nothing to do"])
    extracted, reduced = done.extracted, done.reduced
    if extracted.photos:
        rate = f"{extracted.photos / extracted.seconds:.0f} a second"
        lines.append(f"  embedded    {extracted.embedded:,} in {extracted.seconds:.1f} s ({rate})")
    if extracted.rejected:
        lines.append(f"  rejected    {extracted.rejected:,}:")
        lines += [f"              {uri}: {reason}" for uri, reason in done.rejects]
        lines += ["              ..., all of them in the table rejects"] * (extracted.rejected > len(done.rejects))
    if reduced.captured is not None:
        lines.append(
            f"  basis       {reduced.basis_id}, {f'new ({reduced.why})' if reduced.why else 'kept'}: "
            f"{reduced.components} components hold {reduced.captured:.1%} of the variance of {reduced.photos:,} photos"
        )
    if reduced.shrinkage is not None:
        labels = f"{reduced.labels} labels" if reduced.labels > 1 else "1 label: it tells nothing apart"
        lines.append(f"  recogniser  {labels}, shrinkage {reduced.shrinkage:.3f}")
        lines += [f"    {said}" for said in accuracy.told(accuracy.columns(asdict(reduced)), reduced.worst)]
    lines += [f"  wrote       {file}" for file in reduced.files if file.endswith((".png", ".csv"))]
    lines += [f"  not made    {what} (the next run tries again; the tables are right)" for what in reduced.unmade]
    return "\n".join(lines)


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether it began with that: Python, Java, SQLite, DuckDB and obstore each say it in their own exceptions."""
    said = ("no space left on device", "disk is full", "disk quota exceeded", "not enough space")
    while error is not None:
        if any(words in str(error).lower() for words in said):
            return True
        error = error.__cause__ or error.__context__
    return False


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spark_jobs.run_local", description=__doc__)
    parser.add_argument("photos", metavar="PHOTOS", help="folder of photos, or s3://bucket/prefix")
    parser.add_argument(
        "--lake", required=True, metavar="DIR", help="the lake: a folder, made when missing; or s3://bucket[/prefix]"
    )
    parser.add_argument("--database", default="orchard", help="database of the tables (default: orchard)")
    parser.add_argument(
        "--extractor",
        metavar="ARTEFACT",
        help="default: the lake's; of a new lake, ImageNet's mobilenet_v2, or efficientnet_lite0 "
        "where Keras cannot fetch its weights",
    )
    parser.add_argument("--engine", choices=ENGINES, default="openvino", help="default: openvino")
    parser.add_argument(
        "--label",
        metavar="RULE",
        help="how a photo's label is found: parent (its folder), parent/2 (so many levels up), or a regular expression "
        "with a group, searched in its path below PHOTOS or the bucket; default: the lake's, of a new lake parent",
    )
    parser.add_argument(
        "--hierarchy",
        metavar="RULE",
        help="how a label's parent is found, such as the fruit of a variety: by a rule as --label has one, from a CSV "
        "file (.csv, local or s3://) with the columns label and parent, or none; default: the lake's, of a new lake "
        "none",
    )
    parser.add_argument(
        "--leave-out",
        action="append",
        metavar="NAME",
        help="files and folders of such a name (* and ? as in a shell) are no photos; in place of the list of what "
        "other programs leave behind, such as .*; '' leaves out none",
    )
    parser.add_argument(
        "--take-out",
        metavar="PREFIX",
        help="take all photos of another folder or s3://bucket/prefix, which is gone, out of the lake",
    )
    add_options(parser)
    parser.add_argument(
        "--mass-deletion-meant",
        action="store_true",
        help="go on where more than a fifth of the lake's photos is gone, or loses its label, or where photos to take "
        "out are still there",
    )
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON list, one object a run")
    args = parser.parse_args(argv)
    log_to_stderr()
    try:
        with asking_aws():
            done = run_local(
                args.photos,
                LakeLocation.parse(args.lake, args.database),
                args.extractor,
                read_options(args),
                args.engine,
                label=args.label,
                leave_out=LEAVE_OUT if args.leave_out is None else args.leave_out,
                taken_out=args.take_out,
                hierarchy=args.hierarchy,
                mass_deletion_meant=args.mass_deletion_meant,
            )
    except (
        ValueError,
        NotADirectoryError,
        AtWorkError,
        ConflictError,
        PermissionError,
        ExtractorError,
        MassDeletionError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        logging.disable()  # a thread that waited for Java would still say that it is gone
        print("\ninterrupted: nothing is lost; the same command does the rest", file=sys.stderr)
        return 130
    except Exception as error:
        if said := conflict(error):
            print(f"error: {said}", file=sys.stderr)
            return 2
        if not _disk_is_full(error):
            raise
        print(
            f"error: no space is left on a disk: free some of {args.lake} or of {tempfile.gettempdir()} (TMPDIR names "
            "another folder than that); nothing is lost, and the same command does the rest",
            file=sys.stderr,
        )
        return 2
    if args.json:
        print(json.dumps([asdict(run) for run in done], indent=2))
    else:
        print("\n".join(map(describe, done)))
    return 0


if __name__ == "__main__":
    end(main)
