"""Settings of the control plane: one frozen object, read from the Airflow variable ``orchard`` when a task runs."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin

from orchard.instances import INSTANCES

VARIABLE = "orchard"
# AWS calls London and Zurich eu-..., too.
EU_REGIONS = (
    "eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3", "eusc-de-east-1",
)  # fmt: skip
BOOTSTRAPPED = "/opt/orchard/bin/python"  # as bootstrap/install.sh makes it
_EXTRACTOR = re.compile(r"[a-z0-9_]+-[a-z0-9]+-[0-9a-f]{12}")


class SettingsError(ValueError):
    """A setting is missing, unknown or impossible."""


@dataclass(frozen=True)
class Settings:
    """What differs between a laptop, a test account and production; a run's own wishes are the DAG's Params."""

    lake: str  # s3://bucket[/prefix]: tables, extractors, exports, reports, logs
    prefixes: tuple[str, ...]  # s3://bucket/prefix of the photos, one or more
    extractor: str  # extractor_id of the artefact to use, as `export_extractor` prints it
    database: str = "orchard"  # of the Glue Data Catalog
    region: str = "eu-west-1"
    outside_eu: bool = False  # data stay in the EU unless this says outright that they need not

    # Step 2, where the run's Params do not say otherwise.
    components: int | None = None
    variance: float | None = None  # of neither: 0.95
    standardize: bool = False
    engine: str = "openvino"

    # The cluster.
    release: str = "emr-7.14.0"
    instance_type: str = "m5.xlarge"
    instance_types: tuple[str, ...] = ()  # in instance_type's place: any of these, the first counts the nodes
    spot: bool = False  # core nodes at what is spare, on demand where nothing is; the primary never
    ebs_gib: int = 64  # of a node's data volume, gp3
    min_core_nodes: int = 1
    max_core_nodes: int = 10
    target_minutes: float = 30.0  # nodes are added until a run is expected to take no longer
    rate: float = 50.0  # photos a second a vCPU, until runs were measured
    idle_minutes: int = 30  # after which a cluster that nobody terminated ends itself
    service_role: str = "orchard-emr-service"
    instance_profile: str = "orchard-emr-node"
    subnets: tuple[str, ...] = ()  # several: EMR chooses
    # All three or none: with its own groups, EMR opens what it needs between the nodes by itself.
    primary_security_group: str | None = None
    core_security_group: str | None = None
    service_security_group: str | None = None
    security_configuration: str | None = None
    bootstrap: str | None = None  # s3:// folder of install.sh and the wheels that it makes the nodes' Python from
    python: str | None = None  # the nodes' interpreter; with bootstrap: the one that it makes
    tags: Mapping[str, str] = field(default_factory=dict)

    # Of the tables, by the first run with anything to do after so many days.
    maintain_days: float = 7.0
    keep_days: float = 30.0  # then, older snapshots go, and with them what only they hold: time travel ends there

    max_reject_share: float = 0.05  # a run that rejects more of its photos fails
    poll_seconds: float = 15.0  # between two looks at a step or cluster
    log_seconds: float = 360.0  # to wait for the logs of what failed, which EMR brings every five minutes
    console: str | None = None  # where people look at clusters, if not in the AWS console: http://localhost:5555

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("lake", *(f"prefixes[{i}]" for i in range(len(self.prefixes)))):
            address = self.lake if name == "lake" else self.prefixes[int(name[9:-1])]
            _expect(re.match(r"s3://[a-z0-9.-]{3,63}(/|$)", address), name, "s3://bucket[/prefix]", address)
        _expect(self.prefixes, "prefixes", "one s3://bucket/prefix or more", list(self.prefixes))
        lake = f"{self.root}/"
        # A prefix is how names begin, whether at a slash or not; only the bucket is a whole name.
        begins = {one: one if "/" in one.removeprefix("s3://") else f"{one}/" for one in self.prefixes}
        if mixed := [one for one, begin in begins.items() if lake.startswith(begin) or begin.startswith(lake)]:
            raise SettingsError(
                f"Setting prefixes: {', '.join(mixed)} and the lake {self.lake} lie in one another, and the lake's own "
                "pictures would be taken for photos. Put the lake beside the photos, such as s3://bucket/lake and "
                "s3://bucket/photos."
            )
        _expect(_EXTRACTOR.fullmatch(self.extractor), "extractor", "an extractor_id", self.extractor)
        if self.region not in EU_REGIONS and not self.outside_eu:
            raise SettingsError(
                f"Setting region: {self.region} is outside the EU, where the data are to stay; expected one of "
                f"{', '.join(EU_REGIONS)}. "
                'If that is meant, say so outright: "outside_eu": true.'
            )
        for one in self.types:
            name = "instance_types" if self.instance_types else "instance_type"
            _expect(one in INSTANCES, name, f"some of {', '.join(sorted(INSTANCES))}", one)
        _expect(
            len(set(self.instance_types)) == len(self.instance_types), "instance_types", "each type once",
            list(self.instance_types),
        )  # fmt: skip
        _expect(
            len({INSTANCES[one].architecture for one in self.types}) == 1, "instance_types",
            "one architecture: the nodes' Python is built for one", list(self.instance_types),
        )  # fmt: skip
        # The least and most of a volume that EMR takes: VolumeSpecification in its API reference.
        _expect(10 <= self.ebs_gib <= 1024, "ebs_gib", "10 to 1024, EMR's limits", self.ebs_gib)
        groups = (self.primary_security_group, self.core_security_group, self.service_security_group)
        _expect(
            all(groups) or not any(groups), "primary_security_group, core_security_group, service_security_group",
            "all three or none", groups,
        )  # fmt: skip
        _expect(
            self.bootstrap is None or re.fullmatch(r"s3://[a-z0-9.-]{3,63}/.*[^/]", self.bootstrap), "bootstrap",
            "s3://bucket/folder, without a slash at its end", self.bootstrap,
        )  # fmt: skip
        _expect(self.components is None or self.variance is None, "variance", "none beside components", self.variance)
        _expect(self.components is None or self.components >= 1, "components", "1 or more", self.components)
        _expect(self.variance is None or 0 < self.variance <= 1, "variance", "a share in (0, 1]", self.variance)
        _expect(self.engine in ("openvino", "tensorflow"), "engine", "openvino or tensorflow", self.engine)
        _expect(self.min_core_nodes >= 1, "min_core_nodes", "1 or more", self.min_core_nodes)
        _expect(
            self.min_core_nodes <= self.max_core_nodes, "max_core_nodes", "no less than min_core_nodes",
            self.max_core_nodes,
        )  # fmt: skip
        _expect(self.target_minutes > 0, "target_minutes", "more than 0", self.target_minutes)
        _expect(self.rate > 0, "rate", "more than 0 photos a second a vCPU", self.rate)
        _expect(1 <= self.idle_minutes <= 7 * 24 * 60, "idle_minutes", "1 to 10080, EMR's limits", self.idle_minutes)
        _expect(self.maintain_days >= 0, "maintain_days", "0 or more", self.maintain_days)
        _expect(self.keep_days >= 0, "keep_days", "0 or more", self.keep_days)
        _expect(self.poll_seconds > 0, "poll_seconds", "more than 0", self.poll_seconds)
        _expect(self.log_seconds >= 0, "log_seconds", "0 or more", self.log_seconds)
        _expect(0 <= self.max_reject_share <= 1, "max_reject_share", "a share in [0, 1]", self.max_reject_share)

    @classmethod
    def parse(cls, given: Any) -> "Settings":
        """Take the variable's value: a JSON object with a field a setting.

        Raises
        ------
        SettingsError
            With what it got, and what it expected.
        """
        if not isinstance(given, Mapping):
            raise SettingsError(f"The variable {VARIABLE} is to hold a JSON object of settings, got {given!r}.")
        known = {one.name for one in fields(cls)}
        if unknown := sorted(given.keys() - known):
            raise SettingsError(f"Unknown settings {', '.join(unknown)}; expected some of {', '.join(sorted(known))}.")
        if missing := [name for name in ("lake", "prefixes", "extractor") if not given.get(name)]:
            raise SettingsError(
                f"The variable {VARIABLE} lacks {', '.join(missing)}. It is to hold at least "
                '{"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": "<extractor_id>"}.'
            )
        values = dict(given)
        for one in fields(cls):
            if one.name in values:
                values[one.name] = _typed(one.name, one.type, values[one.name])
        return cls(**values)

    @property
    def root(self) -> str:
        """The lake without a slash at its end."""
        return self.lake.rstrip("/")

    @property
    def types(self) -> tuple[str, ...]:
        """The instance types that core nodes may be of; the first counts them."""
        return self.instance_types or (self.instance_type,)

    @property
    def interpreter(self) -> str | None:
        """The nodes' Python, where it is not the release's own."""
        return self.python or (BOOTSTRAPPED if self.bootstrap else None)

    @property
    def jobs(self) -> Path:
        """The folder of the jobs' code: beside plugins/, or in it where plugins/ is all that Airflow is given."""
        plugins = Path(__file__).resolve().parents[1]
        inside = plugins / "spark_jobs"
        return inside if inside.is_dir() else plugins.parent / "spark_jobs"


def read_settings() -> Settings:
    """Read the settings; in a task or a service of Airflow, never while a DAG is parsed.

    Raises
    ------
    SettingsError
        There is no such variable, or it makes no sense.
    """
    from airflow.sdk import Variable

    try:
        given = Variable.get(VARIABLE, default=None, deserialize_json=True)
    except json.JSONDecodeError as error:
        raise SettingsError(f"The variable {VARIABLE} is to hold a JSON object of settings: {error}.") from error
    if given is None:
        raise SettingsError(
            f"The Airflow variable {VARIABLE} is missing. Set it (Admin, Variables) to a JSON object such as "
            '{"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": "<extractor_id>"}.'
        )
    return Settings.parse(given)


def _typed(name: str, kind: Any, value: Any) -> Any:
    """Check a value against its field's type; JSON knows lists and numbers, not tuples and floats."""
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            raise SettingsError(f"Setting {name}: expected a list of strings, got {value!r}.")
        return tuple(value)
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
            raise SettingsError(f"Setting {name}: expected an object of strings, got {value!r}.")
        return dict(value)
    types = get_args(kind) or (kind,)
    allowed = (*types, int) if float in types else types
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in types):
        names = " or ".join("nothing" if one is type(None) else one.__name__ for one in types)
        raise SettingsError(f"Setting {name}: expected {names}, got {value!r}.")
    return float(value) if isinstance(value, int) and float in types else value


def _expect(holds: Any, name: str, expected: str, got: Any) -> None:
    if not holds:
        raise SettingsError(f"Setting {name}: expected {expected}, got {got!r}.")
