"""Report: what a run did, on one page that needs nothing but itself.

`gather` reads it from the lake, at the cost of the run and not of the lake; `render` writes the page. Nothing here
decides whether the run was good.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, EqualTo, In

from orchard import __version__
from orchard.lake import accuracy
from orchard.lake.rows import equal, rows
from orchard.lake.tables import RUNS, table_or_none
from orchard.photos.sieve import told
from orchard.report import figures
from orchard.report.fits import KEEP, Fit, read_fit
from orchard.report.rejects import Reject, read_rejects

_RUNS = 10  # before this one
_PHASES = ("find", "start", "bootstrap", "extract", "reduce", "maintain", "wait", "end")
_LABELS = (10, 5)  # with most photos, and with fewest
_WORST = 10


@dataclass(frozen=True)
class Label:
    """A label, its photos in the lake, and those that this run embedded."""

    name: str
    photos: int
    new: int


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes
    ----------
    row : Mapping
        The run's row of `runs`, with None for what it lacks.
    pretend : bool
        The cluster was a local one: its cost is what AWS would have charged.
    photos, n_labels : int
        In the lake after this run.
    far : float or None
        Distance beyond which the recogniser knows nothing, 1 being usual; None where too few were judged to tell.
    labels : tuple of Label
        The ones with most photos and with fewest, in that order.
    recognised : tuple of Mapping
        Labels of this run's photos that were judged, the worst first (`spark_jobs.tables.recognisers.Judgement`).
    rejects, reasons
        See `read_rejects`.
    runs : tuple of Mapping
        Rows of `runs` up to this one, oldest first, with the `photos` that the lake held then, and
        all their `seconds`.
    run_url : str, optional
        The way back to the run in Airflow.
    """

    root: str
    database: str
    row: Mapping[str, Any]
    pretend: bool
    photos: int
    n_labels: int
    labels: tuple[Label, ...]
    shrinkage: float | None
    far: float | None
    recognised: tuple[Mapping[str, Any], ...]
    fit: Fit | None
    rejects: tuple[Reject, ...]
    reasons: tuple[tuple[str, int], ...]
    runs: tuple[Mapping[str, Any], ...]
    run_url: str | None = None

    @property
    def undone(self) -> int:
        """Photos of the batch that are neither embedded nor rejected by this run: a later one may have taken them."""
        found, ended = (self.row["added"], self.row["changed"]), (self.row["embedded"], self.row["rejected"])
        return 0 if None in found + ended else max(sum(found) - sum(ended), 0)

    @property
    def phases(self) -> list[tuple[str, float | None]]:
        """What took how many seconds, in its order; what waits is in several pieces."""
        took = {name: self.row[f"{name}_seconds"] for name in _PHASES}
        starts = "Cluster starts" if took["bootstrap"] is not None else "Cluster starts and bootstraps"
        waits = "Cluster waits" if took["end"] is not None else "Cluster waits and ends"
        rows = [
            ("Find new photos", took["find"]),
            (starts, took["start"]),
            ("Cluster bootstraps", took["bootstrap"]),
            ("Extract embeddings", took["extract"]),
            ("Reduce", took["reduce"]),
            ("Maintain tables", took["maintain"]),
            ("Steps that did not come to their end", self._tried(took)),
            (waits, took["wait"]),
            ("Cluster ends", took["end"]),
        ]
        always = ("Extract embeddings", "Reduce", "Find new photos")
        return [(name, seconds) for name, seconds in rows if seconds is not None or name in always]

    def _tried(self, took: Mapping[str, float | None]) -> float | None:
        """Take from the cluster's life all that is known of it: steps that were tried again are left."""
        if self.row["cluster_seconds"] is None or took["wait"] is None:
            return None
        left = self.row["cluster_seconds"] - sum(took[name] or 0.0 for name in _PHASES if name != "find")
        return left if left >= 0.05 else None

    @property
    def rate(self) -> float | None:
        """Photos a second while photos were worked on."""
        photos = (self.row["embedded"] or 0) + (self.row["rejected"] or 0)
        seconds = self.row["embed_seconds"] or self.row["extract_seconds"]
        return photos / seconds if photos and seconds else None


def gather(
    catalog: Catalog,
    database: str,
    row: Mapping[str, Any],
    read: Callable[[str], bytes],
    *,
    root: str,
    pretend: bool = False,
    run_url: str | None = None,
) -> Report:
    """Read what the page shows of a run, after its steps.

    Parameters
    ----------
    row : Mapping
        The run's row of `runs`, which need not be in the table yet.
    read : callable
        Gives the bytes at an ``s3://`` address or a path; raises FileNotFoundError where there are none.
    root : str
        Of the lake: a folder, or ``s3://bucket[/prefix]``.
    pretend, run_url
        See `Report`.
    """
    root = root.rstrip("/")
    row = {**dict.fromkeys(field.name for field in RUNS.fields), **row}
    extractor_id, run_id = row["extractor_id"], row["run_id"]
    mine = equal(extractor_id=extractor_id, run_id=run_id)
    fitted = rows(catalog, database, "recognisers", mine, "labels", "count", "shrinkage", "by_label", "far")
    recogniser = fitted[0] if fitted else {}  # step 2 leaves none where the lake is empty
    labels = _labels(catalog, database, extractor_id, run_id) if recogniser else []
    most, fewest = _LABELS
    rejects, reasons = read_rejects(catalog, database, extractor_id, run_id, read)
    return Report(
        root=root,
        database=database,
        row=row,
        pretend=pretend,
        photos=recogniser.get("count", 0),
        n_labels=len(recogniser.get("labels", ())),
        labels=tuple(labels if len(labels) <= most + fewest + 1 else labels[:most] + labels[-fewest:]),
        shrinkage=recogniser.get("shrinkage"),
        far=recogniser.get("far"),
        recognised=_recognised(recogniser.get("by_label") or ()),
        fit=read_fit(catalog, database, root, extractor_id, row["basis_id"], read) if row["basis_id"] else None,
        rejects=rejects,
        reasons=reasons,
        runs=_runs(catalog, database, row),
        run_url=run_url,
    )


def _labels(catalog: Catalog, database: str, extractor_id: str, run_id: str) -> list[Label]:
    mine = equal(extractor_id=extractor_id, run_id=run_id)
    moments = rows(catalog, database, "moments", mine, "total")
    if not moments or moments[0]["total"] is None:
        return []
    # As spark_jobs/exact/moments.py packs them: an Arrow stream of one row.
    total = pa.ipc.open_stream(moments[0]["total"]).read_all().select(["labels", "counts"]).to_pylist()[0]
    new: Counter[str] = Counter()
    if (embeddings := table_or_none(catalog, database, "embeddings")) is not None:
        for batch in embeddings.scan(mine, selected_fields=("label",)).to_arrow_batch_reader():
            new.update({one["values"]: one["counts"] for one in batch["label"].value_counts().to_pylist()})
    labels = [Label(name, photos, new[name]) for name, photos in zip(total["labels"], total["counts"], strict=True)]
    return sorted(labels, key=lambda label: (-label.photos, label.name))


def _runs(catalog: Catalog, database: str, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    every = rows(catalog, database, "runs", equal(extractor_id=row["extractor_id"]))
    others = (one for one in every if one["run_id"] != row["run_id"] and one["started_at"] is not None)
    began = row["started_at"]
    before = sorted(
        (one for one in others if began is None or one["started_at"] <= began), key=lambda one: one["started_at"]
    )
    shown = [*before[-_RUNS:], row]
    here = And(EqualTo("extractor_id", row["extractor_id"]), In("run_id", [one["run_id"] for one in shown]))
    fitted = {one["run_id"]: one["count"] for one in rows(catalog, database, "recognisers", here, "run_id", "count")}
    # A run without a recogniser left an empty lake.
    return tuple({**one, "photos": fitted.get(one["run_id"], 0), "seconds": _seconds(one)} for one in shown)


def _recognised(by_label: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Take what was judged, the worst first: by the cross-validation, else by the recogniser before."""
    judged = [one for one in by_label if one["judged_folds"] or one["judged_before"]]

    def share(one: Mapping[str, Any]) -> float:
        kind = "folds" if one["judged_folds"] else "before"
        return float(one[f"right_{kind}"] / one[f"judged_{kind}"])

    return tuple(sorted(judged, key=lambda one: (share(one), -one["judged_folds"], one["label"])))


def _seconds(row: Mapping[str, Any]) -> float | None:
    """From a run's beginning to its end, or the seconds of its parts where they are more."""
    parts = [row[part] for part in ("find_seconds", "extract_seconds", "reduce_seconds") if row[part] is not None]
    if row["started_at"] is not None and row["ended_at"] is not None:
        parts = [max((row["ended_at"] - row["started_at"]).total_seconds(), sum(parts))]
    return sum(parts) if parts else None


def render(report: Report) -> str:
    """Write the page: one HTML document with all that it shows inside."""
    return _template().render(
        report=report,
        row=report.row,
        this=report.runs[-1],
        left_out=told(json.loads(report.row["left_out_kinds"] or "{}")),
        notes=json.loads(report.row["notes"] or "[]"),
        version=__version__,
        keep=KEEP,
        recognised=accuracy.told(report.row),
        worst=report.recognised[:_WORST],
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=figures.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for shape in (
        figures.count,
        figures.seconds,
        figures.dollars,
        figures.percent,
        figures.size,
        figures.when,
    ):
        environment.filters[shape.__name__] = shape
    environment.filters["literal"] = repr
    environment.globals["curve"] = figures.curve
    environment.globals.update(accuracy=accuracy.figure, accuracy_share=accuracy.share)
    return environment.get_template("report.html.j2")
