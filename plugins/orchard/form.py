"""Form: what a person may wish of one run, as Airflow's Params, and how it is read; an empty field: as the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Param

_EMPTY = "Empty: as the settings say."
_ANSWERS = {"yes": True, "no": False}


def form() -> dict[str, Param]:
    """Make the trigger form of orchard_daily.

    Each number has both ends: one of more than 64 bits would end services of Airflow. The most useful field is first.
    """
    return {
        "plan_only": Param(
            False,
            type="boolean",
            title="Plan only",
            description="End after discovery: photos, cluster, minutes, dollars. Nothing is rented or written.",
        ),
        "prefixes": Param(
            None,
            type=["null", "array"],
            maxItems=1000,
            items={  # a line may be empty, the last one often is
                "type": "string",
                "maxLength": 1100,
                "pattern": r"^\s*(s3://.*)?$",
            },
            title="Prefixes",
            description=f"Where to look for photos, one s3://bucket/prefix a line. {_EMPTY}",
        ),
        "limit": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=1_000_000_000,
            title="Photo limit",
            description="Take at most so many new and changed photos; the next run goes on. For large back-fills.",
        ),
        "mass_deletion_meant": Param(
            False,
            type="boolean",
            title="Mass deletion is meant",
            description="Go on although more than a fifth of the lake's photos under a prefix is gone, or loses its "
            "label.",
        ),
        "extractor": Param(
            None,
            type=["null", "string"],
            maxLength=250,
            title="Extractor",
            description=f"extractor_id of an artefact under extractors/ in the lake. {_EMPTY}",
        ),
        "components": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=10_000,
            title="Components",
            description=f"Principal components to keep; or give the variance. {_EMPTY}",
        ),
        "variance": Param(
            None,
            type=["null", "number"],
            exclusiveMinimum=0,
            maximum=1,
            title="Variance",
            description=f"Keep as many components as hold this share of the variance, such as 0.95. {_EMPTY}",
        ),
        "standardize": Param(
            None,
            type=["null", "string"],
            enum=[None, *_ANSWERS],  # a switch that is off would look as one that nobody touched
            values_display={"null": "as the settings say"},
            title="Standardize",
            description=f"PCA of standardised features. {_EMPTY}",
        ),
        "refit": Param(
            "auto",
            type="string",
            enum=["auto", "always", "never"],
            title="Refit",
            description="Fit a new basis: when the one in use captures too little (auto), always, or never.",
        ),
        "core_nodes": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=100,
            title="Core nodes",
            description="Empty: as many as the number of photos asks for.",
        ),
        "keep_cluster": Param(
            False,
            type="boolean",
            title="Keep the cluster when a step failed",
            description="To look at it; it ends itself after its idle time-out.",
        ),
        "maintain": Param(
            False,
            type="boolean",
            title="Maintain tables now",
            description="Small files together, old snapshots away; otherwise weekly, by a run that has photos to do.",
        ),
    }


@dataclass(frozen=True)
class Wishes:
    """A filled-in form."""

    plan_only: bool = False
    prefixes: tuple[str, ...] | None = None
    limit: int | None = None
    mass_deletion_meant: bool = False
    extractor: str | None = None
    components: int | None = None
    variance: float | None = None
    standardize: bool | None = None
    refit: str = "auto"
    core_nodes: int | None = None
    keep_cluster: bool = False
    maintain: bool = False

    def __post_init__(self) -> None:
        """Refuse what excludes each other; the form checks each field by itself."""
        if self.components is not None and self.variance is not None:
            raise ValueError(
                f"Params components and variance: expected one of them, got {self.components} and {self.variance}."
            )
        if self.variance is not None and not 0 < self.variance <= 1:  # JSON Schema lets NaN pass
            raise ValueError(f"Param variance: expected more than 0, at most 1, got {self.variance}.")

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> "Wishes":
        """Read a run's Params.

        Raises
        ------
        ValueError
            One is unknown: Airflow takes any, and a run that was misspelt would cost money.
        """
        if unknown := sorted(params.keys() - cls.__dataclass_fields__.keys()):
            raise ValueError(
                f"Unknown Params {', '.join(unknown)}: expected some of {', '.join(cls.__dataclass_fields__)}."
            )
        given = {name: params[name] for name in cls.__dataclass_fields__ if name in params}
        if given.get("prefixes") is not None:
            # The form sends a string a line: a field that was emptied is one that is empty.
            given["prefixes"] = tuple(one.strip() for one in given["prefixes"] if one.strip()) or None
        if isinstance(given.get("extractor"), str):
            given["extractor"] = given["extractor"].strip() or None
        if (answer := given.get("standardize")) in _ANSWERS:
            given["standardize"] = _ANSWERS[answer]
        # For JSON, 20.0 is an integer, and 1 is a number.
        for name, kind in (("limit", int), ("components", int), ("variance", float), ("core_nodes", int)):
            if given.get(name) is not None:
                given[name] = kind(given[name])
        return cls(**given)

    @property
    def asks_for_a_basis(self) -> bool:
        """Whether components, variance or standardize were chosen for this run."""
        return any(one is not None for one in (self.components, self.variance, self.standardize))
