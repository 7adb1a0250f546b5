"""The calls that change or show one property of a cluster, and the few about no cluster at all."""

from collections.abc import Callable

from local.emr import machine_types, rules
from local.emr.calls import Call, Json
from local.emr.emr import Emr
from local.emr.errors import invalid, validation
from local.emr.paging import page
from local.emr.releases import OS, RELEASES
from local.emr.state import Cluster


def _live(emr: Emr, request: Json) -> Cluster:
    cluster = emr.cluster(request["ClusterId"])
    if not cluster.live:
        raise invalid("A cluster that is terminating or terminated cannot be modified.")
    return cluster


def _setter(member: str, attribute: str) -> Call:
    """Make a call that sets a flag of several clusters: of all, or of none when one is unknown or gone."""

    def call(emr: Emr, request: Json) -> Json:
        clusters = [emr.job_flow(cluster_id) for cluster_id in request["JobFlowIds"]]
        if not all(cluster.live for cluster in clusters):
            raise validation("A job flow that is shutting down, terminated, or finished may not be modified.")
        for cluster in clusters:
            setattr(cluster, attribute, request[member])
            emr.lives[cluster.id].wake()
        return {}

    return call


def modify_cluster(emr: Emr, request: Json) -> Json:
    cluster = _live(emr, request)
    if "StepConcurrencyLevel" in request:
        level = request["StepConcurrencyLevel"]
        if not rules.CONCURRENCY[0] <= level <= rules.CONCURRENCY[1]:
            raise invalid(f"StepConcurrencyLevel is {level}, it must be between 1 and 256.")
        cluster.concurrency = level
    if "ExtendedSupport" in request:
        cluster.request["ExtendedSupport"] = request["ExtendedSupport"]
    emr.lives[cluster.id].wake()
    return {
        "StepConcurrencyLevel": cluster.concurrency,
        "ExtendedSupport": cluster.request.get("ExtendedSupport"),
    }


def _policy(member: str, attribute: str, check: Callable[[Json], None]) -> tuple[Call, Call, Call]:
    """Make the calls that put, get and remove a policy."""

    def put(emr: Emr, request: Json) -> Json:
        cluster = _live(emr, request)
        if member not in request:
            raise validation(f"{member} is required.")
        check(request[member])
        setattr(cluster, attribute, request[member])
        emr.lives[cluster.id].wake()
        return {}

    def get(emr: Emr, request: Json) -> Json:
        return {member: getattr(emr.cluster(request["ClusterId"]), attribute)}

    def remove(emr: Emr, request: Json) -> Json:
        cluster = _live(emr, request)
        setattr(cluster, attribute, None)
        emr.lives[cluster.id].wake()
        return {}

    return put, get, remove


def add_tags(emr: Emr, request: Json) -> Json:
    cluster = _tagged(emr, request)
    for tag in request["Tags"]:
        rules.check_tag(tag)
    new = {tag["Key"]: tag.get("Value", "") for tag in request["Tags"]}
    if len(cluster.tags | new) > rules.MOST_TAGS:
        raise invalid(f"A cluster can have at most {rules.MOST_TAGS} tags.")
    cluster.tags |= new
    emr.lives[cluster.id].wake()
    return {}


def remove_tags(emr: Emr, request: Json) -> Json:
    cluster = _tagged(emr, request)
    for key in request["TagKeys"]:
        cluster.tags.pop(key, None)
    emr.lives[cluster.id].wake()
    return {}


def _tagged(emr: Emr, request: Json) -> Cluster:
    cluster = emr.cluster(request["ResourceId"])
    if not cluster.live:
        raise invalid("Tags cannot be modified on terminated clusters.")
    return cluster


def list_release_labels(emr: Emr, request: Json) -> Json:
    filters = request.get("Filters", {})
    name, _, version = filters.get("Application", "").lower().partition("@")
    labels = [
        label
        for label, applications in sorted(RELEASES.items(), reverse=True)
        if label.startswith(filters.get("Prefix", ""))
        and (not name or any(name == app.lower() and version in ("", of) for app, of in applications.items()))
    ]
    return {"ReleaseLabels": labels}


def describe_release_label(emr: Emr, request: Json) -> Json:
    label = request.get("ReleaseLabel", "")
    if label not in RELEASES:
        known = ", ".join(RELEASES)
        raise invalid(f"The release label {label!r} is not known to this local EMR, which describes {known}.")
    applications = [{"Name": name, "Version": version} for name, version in RELEASES[label].items()]
    return {"ReleaseLabel": label, "Applications": applications, "AvailableOSReleases": [{"Label": OS}]}


def list_supported_instance_types(emr: Emr, request: Json) -> Json:
    label = request["ReleaseLabel"]
    if not rules.RELEASE.fullmatch(label):
        raise invalid(f"The supplied release label is invalid: {label}.")
    part, marker = page(enumerate(machine_types.described()), request.get("Marker"))
    return {"SupportedInstanceTypes": part, "Marker": marker}


def get_block_public_access(emr: Emr, request: Json) -> Json:
    return {
        "BlockPublicAccessConfiguration": {
            "BlockPublicSecurityGroupRules": True,
            "PermittedPublicSecurityGroupRuleRanges": [{"MinRange": 22, "MaxRange": 22}],
        },
        "BlockPublicAccessConfigurationMetadata": {"CreationDateTime": 0, "CreatedByArn": "arn:aws:iam::aws:root"},
    }


_idle = _policy("AutoTerminationPolicy", "auto_termination", rules.check_idle)
_scaling = _policy("ManagedScalingPolicy", "scaling", rules.check_scaling)
CALLS: dict[str, Call] = {
    "AddTags": add_tags,
    "DescribeReleaseLabel": describe_release_label,
    "GetAutoTerminationPolicy": _idle[1],
    "GetBlockPublicAccessConfiguration": get_block_public_access,
    "GetManagedScalingPolicy": _scaling[1],
    "ListReleaseLabels": list_release_labels,
    "ListSupportedInstanceTypes": list_supported_instance_types,
    "ModifyCluster": modify_cluster,
    "PutAutoTerminationPolicy": _idle[0],
    "PutManagedScalingPolicy": _scaling[0],
    "RemoveAutoTerminationPolicy": _idle[2],
    "RemoveManagedScalingPolicy": _scaling[2],
    "RemoveTags": remove_tags,
    "SetKeepJobFlowAliveWhenNoSteps": _setter("KeepJobFlowAliveWhenNoSteps", "keep_alive"),
    "SetTerminationProtection": _setter("TerminationProtected", "protected"),
    "SetUnhealthyNodeReplacement": _setter("UnhealthyNodeReplacement", "replace_unhealthy"),
    "SetVisibleToAllUsers": _setter("VisibleToAllUsers", "visible"),
}
