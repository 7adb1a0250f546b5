"""Plan: what one run is to do, decided after discovery and handed from task to task."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from orchard.form import Wishes
from orchard.photos.label import without_label
from orchard.photos.sieve import told
from orchard.photos.source import LISTING
from orchard.settings import Settings

_LONGEST = 200  # Airflow allows 250 characters; EMR 256 for the names of cluster and steps, which hold it and more
_HASHED = re.compile(r"-[0-9a-f]{10}$")


@dataclass(frozen=True)
class Plan:
    """A run's photos, its cluster and what both are expected to cost; plain values, for XCom.

    Attributes
    ----------
    run_id, dag_run_id : str
        The run's name in the lake and in S3, and in Airflow.
    why : str or None
        Why a cluster is rented; None: there is nothing to do.
    step_options : dict
        Options of step 2's command line.
    instance_type, instance_types : str, tuple of str
        The type that the nodes are counted in, and all that they may be of.
    spot : bool
        Whether nodes beside the first are wanted at spot prices.
    maintain, keep_days : bool, float
        Whether the tables are maintained, too, and for how long snapshots stay then.
    request_dollars : float or None
        What `requests` cost; None where their price is not known.
    relabelled, unlabelled, examples, label_rule, left_out, notes, requests, source
        See `orchard.photos.discovery.Found`.
    """

    dag_id: str
    dag_run_id: str
    run_id: str
    region: str
    lake: str
    database: str
    extractor_id: str
    engine: str
    listed: int
    added: int
    changed: int
    deleted: int
    left: int
    find_seconds: float
    step_options: dict[str, Any]
    instance_type: str
    instance_types: tuple[str, ...]
    spot: bool
    core_nodes: int
    vcpus: int
    rate: float
    seconds: float
    dollars: float | None
    keep_cluster: bool
    plan_only: bool
    why: str | None
    maintain: bool = False
    keep_days: float = 30.0
    relabelled: int = 0
    unlabelled: int = 0
    examples: tuple[str, ...] = ()
    label_rule: str = "parent"
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    request_dollars: float | None = None
    source: str = LISTING

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> "Plan":
        """Read what a task was handed.

        Raises
        ------
        AirflowFailException
            Nothing: somebody marked find_new_photos as success before it ran.
        """
        if not values:
            raise AirflowFailException(
                "There is no plan: find_new_photos is marked as success, and has left none. "
                "Clear find_new_photos, with Downstream."
            )
        lists = {name: tuple(values.get(name, ())) for name in ("instance_types", "examples", "notes")}
        return cls(**{**values, **lists})

    @property
    def changes(self) -> int:
        """How many photos step 1 has to do with."""
        return self.added + self.changed + self.deleted + self.relabelled

    @property
    def go(self) -> bool:
        """Whether a cluster is to be rented."""
        return self.why is not None and not self.plan_only

    def describe(self) -> str:
        """Say what is going to happen, for a person."""
        lines = [
            f"Run {self.run_id}, extractor {self.extractor_id}",
            f"  photos   {self.listed:,} listed: {self.added:,} new, {self.changed:,} changed, {self.deleted:,} deleted"
            + (f", {self.relabelled:,} relabelled by the rule {self.label_rule}" if self.relabelled else "")
            + (f"; {self.left:,} left for a later run" if self.left else "")
            + (f"; left out: {told(self.left_out)}" if self.left_out else ""),
        ]
        if self.source != LISTING:
            lines.append(f"  source   {self.source}; photos that are newer wait")
        if any(self.requests.values()):
            asked = ", ".join(f"{count:,} {kind}" for kind, count in self.requests.items() if count)
            cost = "price unknown" if self.request_dollars is None else f"${self.request_dollars:.4f}"
            lines.append(f"  S3       {asked} requests in {self.find_seconds:,.0f} s to find them, {cost}")
        if self.unlabelled:
            lines.append(f"  no label {without_label(self.unlabelled, self.label_rule, self.examples)}")
        lines += [f"  note     {note}" for note in self.notes]
        if self.why is None:
            return "\n".join([*lines, "  nothing to do: no cluster is rented"])
        several = len(self.instance_types) > 1 or self.spot
        cost = "price unknown" if self.dollars is None else f"{'at most ' * several}${self.dollars:.2f}"
        kinds = " or ".join(self.instance_types)
        market = ", spot where it can be had" * self.spot
        return "\n".join(
            [
                *lines,
                f"  why      {self.why}",
                f"  cluster  1 primary and {self.core_nodes} core {kinds} ({self.vcpus} vCPUs, "
                f"{self.rate:.0f} photos a second each){market}",
                f"  expected {self.seconds / 60:.0f} minutes, {cost}",
                *(["  the tables are maintained, too"] * self.maintain),
                *(["  plan only: no cluster is rented, nothing is written"] * self.plan_only),
            ]
        )


def safe_run_id(dag_run_id: str) -> str:
    """Make the id of a DAG run a name for S3 keys and partitions, other for each other id."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", dag_run_id).strip(".-")[:_LONGEST] or "run"
    if safe == dag_run_id and not _HASHED.search(safe):
        return safe
    return f"{safe}-{hashlib.sha256(dag_run_id.encode()).hexdigest()[:10]}"


def step_options(settings: Settings, wishes: Wishes) -> dict[str, Any]:
    """Choose the options of step 2: the run's wishes, else the settings."""
    chosen = settings if wishes.components is None and wishes.variance is None else wishes
    options: dict[str, Any] = {"refit": wishes.refit}
    if chosen.components is not None:
        options["components"] = chosen.components
    elif chosen.variance is not None:
        options["variance"] = chosen.variance
    if settings.standardize if wishes.standardize is None else wishes.standardize:
        options["standardize"] = True
    if settings.shrinkage is not None:
        options["shrinkage"] = settings.shrinkage
    return options


def request_json(options: Mapping[str, Any]) -> str:
    """Write the options as step 2 does into `runs` (spark_jobs/reduce_embeddings.py, Options.to_json)."""
    components = options.get("components")
    request = {
        "components": components,
        "variance": None if components is not None else options.get("variance", 0.95),
        "standardize": options.get("standardize", False),
    }
    return json.dumps({"request": request, "shrinkage": options.get("shrinkage")}, sort_keys=True)


def reason(
    changes: int,
    relabelled: int,
    behind: list[str],
    wishes: Wishes,
    options: Mapping[str, Any],
    newest: Mapping[str, Any] | None,
) -> str | None:
    """Say why a cluster is needed, or None.

    Parameters
    ----------
    changes : int
        Photos added, changed and deleted.
    relabelled : int
        Photos whose label alone has changed.
    behind : list of str
        Runs that are embedded and not yet folded in: an earlier run's second step failed.
    newest : Mapping, optional
        The row of the newest run in `runs`.
    """
    if changes:
        return "photos were added, changed or deleted"
    if relabelled:
        return "photos have another label"
    if behind:
        return f"the embeddings of {', '.join(behind)} are not folded in yet"
    if newest is not None and wishes.refit == "always":
        return "a new basis is asked for"
    if newest is not None and wishes.asks_for_a_basis and newest["options"] != request_json(options):
        return "another basis is asked for"
    if newest is not None and wishes.maintain:
        return "table maintenance is asked for"
    return None
