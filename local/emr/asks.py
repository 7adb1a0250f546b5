"""What a call asks of IAM: actions on resources, with the values that conditions may look at.

After the Service Authorization Reference of Amazon EMR, and after what EMR answers when it refuses: RunJobFlow is asked
for on ``cluster/*``; with tags it also takes AddTags there (since April 2023), with an idle time-out also
PutAutoTerminationPolicy (EMR's guide names it and does not say whether RunJobFlow asks for it: here it does, so that
nobody lacks it), and it passes two roles.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ANY = "*"
_ABOUT_TAGS = ("AddTags", "RemoveTags")


@dataclass(frozen=True)
class Ask:
    """One action on one resource.

    Attributes
    ----------
    keys : Mapping
        Condition keys, in small letters as IAM compares them, and their values.
    """

    action: str
    resource: str
    keys: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where clusters are: ``arn:aws:elasticmapreduce:<region>:<account>``."""

    region: str
    account: str

    def cluster(self, cluster_id: str) -> str:
        return f"arn:aws:elasticmapreduce:{self.region}:{self.account}:cluster/{cluster_id}"

    def role(self, name: str) -> str:
        """Give a role's ARN; requests name roles either way."""
        return name if name.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{name}"


def of_creation(request: Mapping[str, Any], place: Place, node_role: str) -> Iterator[Ask]:
    """Say what a RunJobFlow asks.

    Parameters
    ----------
    node_role : str
        ARN of the role in the instance profile that JobFlowRole names: it is that which is passed.
    """
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in request.get("Tags", ())}
    keys = _of_request(tags)
    yield Ask("elasticmapreduce:RunJobFlow", place.cluster(ANY), keys)
    if tags:
        yield Ask("elasticmapreduce:AddTags", place.cluster(ANY), keys)
    if "AutoTerminationPolicy" in request:
        yield Ask("elasticmapreduce:PutAutoTerminationPolicy", place.cluster(ANY))
    passed = ((request.get("ServiceRole"), "elasticmapreduce"), (node_role, "ec2"))
    for role, service in passed:
        if role:
            yield Ask("iam:PassRole", place.role(role), {"iam:passedtoservice": f"{service}.amazonaws.com"})


def of_call(
    operation: str, request: Mapping[str, Any], place: Place, tags: Mapping[str, Mapping[str, str]]
) -> Iterator[Ask]:
    """Say what any other call asks: its action, on each cluster that it names.

    Parameters
    ----------
    tags : Mapping
        Of each cluster, by its id.
    """
    action = f"elasticmapreduce:{operation}"
    named = [request[name] for name in ("ClusterId", "JobFlowId", "ResourceId") if name in request]
    named += request.get("JobFlowIds", ())
    keys: dict[str, str | list[str]] = {}
    if operation in _ABOUT_TAGS:
        given = {tag.get("Key", ""): tag.get("Value", "") for tag in request.get("Tags", ())}
        keys = _of_request(given) | {"aws:tagkeys": [*given, *request.get("TagKeys", ())]}
    if role := request.get("ExecutionRoleArn"):
        keys["elasticmapreduce:executionrolearn"] = role
    for cluster in dict.fromkeys(named):
        yield Ask(action, place.cluster(cluster), keys | _of_resource(tags.get(cluster, {})))
    if not named:
        yield Ask(action, ANY, keys)


def _of_request(tags: Mapping[str, str]) -> dict[str, str | list[str]]:
    return {**_each("requesttag", tags), **({"aws:tagkeys": list(tags)} if tags else {})}


def _of_resource(tags: Mapping[str, str]) -> dict[str, str]:
    return _each("resourcetag", tags)


def _each(kind: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Give each tag under both of its names: EMR's own and the one that all services share."""
    services = ("aws", "elasticmapreduce")
    return {f"{service}:{kind}/{name.lower()}": value for service in services for name, value in tags.items()}
