"""Settings of the control plane: one frozen object, read from the Airflow variable ``orchard`` when a task runs.

A field is all of a setting: from it follow its check, what an error says of it, docs/settings.schema.json and the table
in docs/dag.md (``make docs``).
"""

import re
from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, ValidationInfo

from orchard.instances import INSTANCES
from orchard.mistakes import WHOLE, Table, Texts, Whole, Written, like, mistakes, one_of, read_json, rule, wrong
from orchard.photos.hierarchy import EXPECTED as EXPECTED_OF_HIERARCHY
from orchard.photos.hierarchy import Hierarchy, HierarchyError
from orchard.photos.label import EXPECTED, LabelError, LabelRule
from orchard.photos.sieve import LEAVE_OUT
from orchard.photos.source import EXPECTED as EXPECTED_OF_SOURCE
from orchard.photos.source import LISTING
from orchard.photos.source import PATTERN as PATTERN_OF_SOURCE

VARIABLE = "orchard"
# AWS calls London and Zurich eu-..., too.
EU_REGIONS = (
    "eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3", "eusc-de-east-1",
)  # fmt: skip
MOST_NODES, A_CENTURY = 1000, 36525  # beyond these a number is a slip
# What an editor can tell of a label's rule: parent, parent/2, or a group somewhere in a regular expression.
_LIKE_A_RULE = r"^parent(/(?!0+$)[0-9]{1,3})?$|\((?!\?)|\(\?P<"
_IN_A_BUCKET = r"^s3://[a-z0-9.-]{3,63}/.+"
_LIKE_A_HIERARCHY = rf"^none$|{_IN_A_BUCKET}\.[cC][sS][vV]$|{_LIKE_A_RULE}"
BOOTSTRAPPED = "/opt/orchard/bin/python"  # as bootstrap/install.sh makes it
_LEAST = '{"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": "<extractor_id>"}'


class SettingsError(ValueError):
    """Settings are missing, unknown or impossible: a line each."""


def _apart(prefix: str, lake: str) -> bool:
    """Tell whether neither lies in the other."""
    # A prefix is a folder, or with a * at its end how names begin.
    begin = prefix.removesuffix("*") if prefix.endswith("*") else f"{prefix.rstrip('/')}/"
    root = f"{lake.rstrip('/')}/"
    return not root.startswith(begin) and not begin.startswith(root)


@cache
def regions() -> frozenset[str]:
    """Return all regions that boto knows, in all partitions."""
    from botocore.loaders import Loader
    from botocore.regions import EndpointResolver

    # Not by a session, which would look for a person's profile.
    known = EndpointResolver(Loader().load_data("endpoints"))
    names = (known.get_available_endpoints("ec2", one) for one in known.get_available_partitions())
    return frozenset(chain.from_iterable(names))


A_REGION = rule(
    lambda region: region in EU_REGIONS or region in regions(), "a region that boto knows of",
    f"correct it; those in the EU are {', '.join(EU_REGIONS)}",
)  # fmt: skip


def in_the_eu(outright: str) -> AfterValidator:
    """Ask for a region in the EU, unless the field `outside_eu` says that another is meant: outright."""
    expected = f"one in the EU, where the data are to stay: {', '.join(EU_REGIONS)}"
    do = f"if another is meant, say so outright: {outright}"
    return rule(lambda region, outside_eu: outside_eu or region in EU_REGIONS, expected, do, "outside_eu")


def _a_rule(label: str) -> str:
    """Ask for a rule that finds labels."""
    try:
        LabelRule.parse(label)
    except LabelError as error:
        raise wrong(label, EXPECTED, error.why) from error
    return label


def _a_hierarchy(hierarchy: str) -> str:
    """Ask for a rule that finds parents; a file must be in a bucket, where all who run the DAG find it."""
    try:
        file = Hierarchy.parse(hierarchy).file
    except HierarchyError as error:
        raise wrong(hierarchy, EXPECTED_OF_HIERARCHY, error.why) from error
    if file and not re.match(_IN_A_BUCKET, file):
        raise wrong(hierarchy, "a file in a bucket, s3://bucket/name.csv", "put it there")
    return hierarchy


def _all_groups_or_none(service: str | None, info: ValidationInfo) -> str | None:
    """Ask for all three security groups, or none; those that are given are told which others belong to them."""
    others = ("primary_security_group", "core_security_group")
    groups = {name: info.data[name] for name in others if name in info.data} | {"service_security_group": service}
    given = [name for name, one in groups.items() if one]
    if len(groups) == 3 and 0 < len(given) < 3:
        lacking = " and ".join(name for name in groups if name not in given)
        do = "give all three, or none of them"
        raise wrong(groups[given[0]], f"{lacking} beside it", do, given[0])
    return service


Address = Annotated[str, like(r"^s3://[a-z0-9.-]{3,63}(/|$)", "s3://bucket[/prefix]")]
InstanceType = Annotated[str, one_of(INSTANCES)]

# What settings ask of each other, and of themselves beside what an editor can tell.
# fmt: off
_APART = rule(
    _apart, "a place beside the lake, {lake}: of one in the other, the lake's own pictures would be taken for photos",
    "put the lake beside the photos, such as s3://bucket/lake and s3://bucket/photos", "lake")
_ALONE = rule(
    lambda variance, components: variance is None or components is None,
    "none beside components, {components}", "leave out one of the two", "components")
_EACH_ONCE = rule(lambda types: len(set(types)) == len(types), "each type once", "take out what is there twice")
_ALIKE = rule(
    lambda types: len({INSTANCES[one].architecture for one in types}) < 2,
    "one architecture: the nodes' Python is built for one", "take types of x86 alone, or of arm64 (Graviton) alone")
_NO_LESS = rule(
    lambda most, least: most >= least,
    "no less than min_core_nodes, {min_core_nodes}", "change one of the two", "min_core_nodes")


class Settings(Written):
    """What differs between a laptop, a test account and production; a run's own wishes are the DAG's Params."""

    model_config = ConfigDict(json_schema_extra={
        "if": {"not": {"properties": {"outside_eu": {"const": True}}, "required": ["outside_eu"]}},
        "then": {"properties": {"region": {"enum": list(EU_REGIONS)}}},
    })

    lake: Address = Field(
        description="of tables, extractors, exports, reports, logs", examples=["s3://bucket/lake"])
    prefixes: tuple[Annotated[Address, _APART], ...] = Field(
        strict=False, min_length=1, examples=[["s3://bucket/photos"]],
        description="folders where photos are, or with `*` at the end how their names begin; not inside the lake, nor "
        "the lake in them")
    extractor: Annotated[str, like(r"^[a-z0-9_]+-[a-z0-9]+-[0-9a-f]{12}$", "an extractor_id")] = Field(
        description="of an artefact under `<lake>/extractors/`, as `export_extractor` prints it",
        examples=["mobilenet_v2-f32-575378b4658d"])
    label: Annotated[str, AfterValidator(_a_rule)] = Field(
        "parent", json_schema_extra={"pattern": _LIKE_A_RULE},
        description="how a photo's label is found in its key: `parent`, the folder that it stands in, `parent/2` "
        "or a regular expression, see [Labels](#labels)")
    hierarchy: Annotated[str, AfterValidator(_a_hierarchy)] = Field(
        "none", json_schema_extra={"pattern": _LIKE_A_HIERARCHY},
        description="how a label's parent is found (the fruit of a variety): by a rule as `label`, such as `parent/2`, "
        "or from a CSV file in a bucket with the columns label and parent, see [Labels](#labels)")
    source: Annotated[str, like(PATTERN_OF_SOURCE, EXPECTED_OF_SOURCE)] = Field(
        LISTING, description="how photos are found: by `listing` the bucket; by an S3 Inventory of it, named by its "
        "folder; or by S3 Metadata's tables, named by their table bucket's ARN, see [Sources](#sources)")
    full_listing_days: float = Field(
        7, ge=0, le=A_CENTURY, description="after so many days all is listed, whatever the `source`")
    leave_out: tuple[str, ...] = Field(
        LEAVE_OUT, strict=False, description="names of files and folders that are no photos, `*` and `?` as in a "
        "shell; by default what other programs leave behind")
    database: Annotated[str, like(r"^[a-z0-9_]{1,252}$", "1 to 252 of a-z, 0-9 and _")] = Field(
        "orchard", description="of the Glue Data Catalog; a lake is one database's")
    outside_eu: bool = Field(False, description="data stay in the EU, unless this says outright that they need not")
    region: Annotated[str, in_the_eu('"outside_eu": true'), A_REGION] = Field(
        "eu-west-1", description="in the EU, or with `outside_eu`")

    # Step 2, where the run's Params do not say otherwise.
    components: Annotated[int, Field(ge=1, le=10_000), WHOLE] | None = Field(
        None, description="of the PCA; or give the `variance`")
    variance: Annotated[Annotated[float, Field(gt=0, le=1)] | None, _ALONE] = Field(
        None, description="share of it that the PCA keeps; where `components` are not given either, 0.95")
    standardize: bool = Field(False, description="whether the features are, before the PCA")
    shrinkage: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="of the recogniser; 0.5 for photos of shops; where it is not given, a function of the photos")
    engine: Literal["openvino", "tensorflow"] = Field("openvino", description="tensorflow is for GPU nodes")

    # The cluster.
    release: str = Field("emr-7.14.0", description="or `emr-spark-8.1.0`, with Spark 4.1")
    instance_type: InstanceType = Field(
        "m5.xlarge", description="types with arm64 (Graviton), such as `m7g.xlarge`, alike")
    instance_types: Annotated[tuple[InstanceType, ...], _EACH_ONCE, _ALIKE] = Field(
        (), strict=False, json_schema_extra={"uniqueItems": True},
        description="in place of `instance_type`, all of one architecture: EMR takes core nodes of whichever it can "
        "have. The first type counts the nodes")
    spot: bool = Field(
        False, description="spare capacity, and on demand where nothing is spare. The primary node and one core node "
        "are never spot")
    # The least and most of a volume that EMR takes: VolumeSpecification in its API reference.
    ebs_gib: Whole = Field(64, ge=10, le=1024, description="of each node's data volume, gp3")
    min_core_nodes: Whole = Field(
        1, ge=1, le=MOST_NODES, description="from here to `max_core_nodes`, the number of photos decides")
    max_core_nodes: Annotated[Whole, _NO_LESS] = Field(
        10, ge=1, le=MOST_NODES, description="the most that a run rents")
    target_minutes: float = Field(
        30, gt=0, le=10080, description="nodes are added until a run is expected to take no longer")
    rate: float = Field(
        50, gt=0, le=1_000_000,
        description="photos a second a vCPU, until runs of 500 photos and more were measured in this lake")
    idle_minutes: Whole = Field(  # a week is EMR's limit
        30, ge=1, le=10080, description="after which a cluster that nobody terminated ends itself")
    service_role: str = Field("orchard-emr-service", description="of the cluster")
    instance_profile: str = Field("orchard-emr-node", description="of the cluster's nodes")
    security_configuration: str | None = Field(None, description="of the cluster")
    subnets: Texts = Field((), description="of several, EMR takes one that has room")
    # With groups of its own, EMR opens what it needs between the nodes by itself.
    primary_security_group: str | None = Field(None, description="of the primary node; all three groups, or none")
    core_security_group: str | None = Field(None, description="of the other nodes; all three groups, or none")
    service_security_group: Annotated[str | None, AfterValidator(_all_groups_or_none)] = Field(
        None, description="of EMR itself, in a private subnet; all three groups, or none")
    bootstrap: Annotated[
        str, like(r"^s3://[a-z0-9.-]{3,63}/.*[^/]$", "s3://bucket/folder, without a slash at its end")
    ] | None = Field(None, description="the folder of install.sh and the wheels that the nodes' Python is made from")
    python: str | None = Field(
        None, description=f"the nodes' interpreter; with `bootstrap`, in place of the one it makes, {BOOTSTRAPPED}")
    tags: Table = Field({}, description="on each cluster, beside Orchard's own")

    # Of the tables, by the first run with anything to do after so many days.
    maintain_days: float = Field(
        7, ge=0, le=A_CENTURY, description="the first run with anything to do after so many days maintains the tables")
    keep_days: float = Field(
        30, ge=0, le=A_CENTURY,
        description="snapshots older than so many days go when tables are maintained, but for the last ten of a table: "
        "time travel ends there")
    max_reject_share: float = Field(0.05, ge=0, le=1, description="a run that rejects more of its photos fails")

    # When runs come by themselves, beside every day (orchard.dag.watcher).
    events_queue: Annotated[
        str, like(r"^https?://[^/\s]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}$", "the URL of an SQS queue")
    ] | None = Field(
        None, description="the SQS queue of the bucket's events, by its URL: then a run comes when photos have come, "
        "too, see [When it runs](#when-it-runs)", examples=["https://sqs.eu-west-1.amazonaws.com/123456789012/photos"])
    quiet_minutes: float = Field(
        5, gt=0, le=1440, description="with `events_queue`, a run comes once no more photos have come for so long")
    gather_minutes: float = Field(
        60, gt=0, le=1440, description="with `events_queue`, a run waits no longer than so, though photos still come")
    # At each look the run's lease is renewed where that is due: a quarter of its term (orchard.lake.lease).
    poll_seconds: float = Field(15, gt=0, le=300, description="between two looks at a step or a cluster")
    log_seconds: float = Field(  # EMR brings logs every five minutes
        360, ge=0, le=3600, description="to wait for the logs of a failed step or bootstrap action")
    console: str | None = Field(
        None, description="where people look at clusters, such as `http://localhost:5555`; else in the AWS console")
    # fmt: on

    @classmethod
    def parse(cls, given: Any) -> "Settings":
        """Take the variable's value: a JSON object with a field a setting, and ``$schema``, which is for editors.

        Raises
        ------
        SettingsError
            With all that is wrong, a line each.
        """
        if not isinstance(given, Mapping):
            raise SettingsError(f"The variable {VARIABLE} is to hold a JSON object of settings, got {given!r}.")
        try:
            return cls.model_validate({name: value for name, value in given.items() if name != "$schema"})
        except ValidationError as error:
            raise SettingsError("\n".join(f"Setting {one}" for one in mistakes(error, cls))) from None

    def but(self, **changes: Any) -> "Settings":
        """Return them with changes, which are judged, too."""
        return self.parse({**dict(self), **changes})

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


def read_settings() -> Settings:
    """Read the settings; in a task or a service of Airflow, never while a DAG is parsed.

    Raises
    ------
    SettingsError
        There is no such variable, or it makes no sense.
    """
    from airflow.sdk import Variable

    try:
        held = Variable.get(VARIABLE, default=None)
        given = None if held is None else read_json(held)
    except ValueError as error:
        raise SettingsError(f"The variable {VARIABLE} is to hold a JSON object of settings: {error}.") from error
    if given is None:
        raise SettingsError(
            f"The Airflow variable {VARIABLE} is missing. Set it (Admin, Variables) to a JSON object such as {_LEAST}."
        )
    return Settings.parse(given)
