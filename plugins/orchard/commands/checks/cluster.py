"""EMR, and whether it could rent the largest cluster that the settings allow."""

from collections.abc import Iterator

from orchard.cluster import emr
from orchard.commands.checks import Check, Failed, Subject, Unknown, error_code, network
from orchard.instances import INSTANCES

# "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances" and "All Standard ... Spot Instance Requests".
ON_DEMAND, SPOT = "L-1216C47A", "L-34B43A08"
_REFUSED = ("InvalidRequestException", "ValidationException")


def reachable(subject: Subject) -> str:
    """Look whether EMR answers, and what runs there."""
    live = [one["Id"] for one in emr.live_clusters(subject.client("emr"), subject.settings.root)]
    return f"clusters of this lake that live: {', '.join(live) or 'none'}"


def release(subject: Subject) -> str:
    """Look whether EMR knows the release."""
    from botocore.exceptions import ClientError

    label = subject.settings.release
    try:
        found = subject.client("emr").describe_release_label(ReleaseLabel=label)
    except ClientError as error:
        if error_code(error) in _REFUSED:
            raise Failed(f"EMR does not know {label}", "Mend the setting release.") from error
        raise
    versions = {one["Name"].lower(): one["Version"] for one in found.get("Applications", ())}
    return f"{label} with Spark {versions['spark']}" if "spark" in versions else label


def supported(subject: Subject) -> str:
    """Look whether the release runs on the instance types."""
    client, known = subject.client("emr"), set()
    marker: dict[str, str] = {}
    while True:  # boto3 has no paginator for it
        page = client.list_supported_instance_types(ReleaseLabel=subject.settings.release, **marker)
        known |= {one["Type"] for one in page.get("SupportedInstanceTypes", ())}
        if not page.get("Marker"):
            break
        marker = {"Marker": page["Marker"]}
    if missing := sorted(_types(subject) - known):
        raise Failed(
            f"{subject.settings.release} does not run on {', '.join(missing)}",
            "Mend the settings instance_type and instance_types, or release.",
        )
    return ", ".join(sorted(_types(subject)))


def offered(subject: Subject) -> str:
    """Look whether EC2 offers the instance types where the subnets are."""
    ec2, wanted = subject.client("ec2"), sorted(_types(subject))
    zones = {one["AvailabilityZone"] for one in network.known_subnets(subject)}
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone" if zones else "region",
        Filters=[{"Name": "instance-type", "Values": wanted}],
    )
    places: dict[str, set[str]] = {one: set() for one in wanted}
    for page in pages:
        for one in page["InstanceTypeOfferings"]:
            if one["InstanceType"] in places:
                places[one["InstanceType"]].add(one["Location"])
    if nowhere := [one for one in wanted if not (places[one] & zones if zones else places[one])]:
        raise Failed(
            f"{', '.join(nowhere)} not offered in {', '.join(sorted(zones)) or subject.settings.region}",
            "Mend the settings instance_type and instance_types, or take subnets elsewhere.",
        )
    return f"{', '.join(wanted)} in {', '.join(sorted(zones)) or subject.settings.region}"


def security_configuration(subject: Subject) -> str:
    """Look whether EMR's security configuration is there."""
    from botocore.exceptions import ClientError

    name = subject.settings.security_configuration
    if name is None:
        return "none: EMR's defaults"
    try:
        subject.client("emr").describe_security_configuration(Name=name)
    except ClientError as error:
        if error_code(error) in _REFUSED:
            raise Failed(
                f"EMR has no security configuration {name}",
                "`make deploy ENV=<env>` makes it; or mend the setting security_configuration.",
            ) from error
        raise
    return name


def quotas(subject: Subject) -> str:
    """Compare the vCPUs of the largest cluster with what the account may run at once."""
    said = []
    for kind, quota, vcpus in _vcpus(subject):
        limit = _limit(subject, quota)
        if vcpus > limit:
            region = subject.settings.region
            raise Failed(
                f"{kind}: the largest cluster has {vcpus} vCPUs, the account may run {limit:.0f} ({quota})",
                f"`aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {quota} "
                f"--desired-value {max(vcpus, 64)} --region {region}`; or lower the setting max_core_nodes.",
            )
        said.append(f"{kind}: {vcpus} of {limit:.0f} vCPUs")
    return ", ".join(said)


def _types(subject: Subject) -> set[str]:
    return {subject.settings.instance_type, *subject.settings.types}


def _vcpus(subject: Subject) -> Iterator[tuple[str, str, int]]:
    """Count the vCPUs under each quota. With spot, on demand has to take over where nothing is spare."""
    settings = subject.settings
    primary = INSTANCES[settings.types[0]].vcpus
    core = settings.max_core_nodes * INSTANCES[settings.types[0]].vcpus
    yield "on demand", ON_DEMAND, primary + core
    if settings.spot:
        yield "spot", SPOT, core


def _limit(subject: Subject, quota: str) -> float:
    from botocore.exceptions import ClientError

    client = subject.client("service-quotas")
    try:
        found = client.get_service_quota(ServiceCode="ec2", QuotaCode=quota)
    except ClientError as error:
        if error_code(error) != "NoSuchResourceException":
            raise
        found = client.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=quota)  # never raised yet
    if "Quota" not in found:
        raise Unknown("this AWS has no service quotas")
    return float(found["Quota"]["Value"])


CHECKS = (
    Check("EMR", reachable, needed=True),
    Check("release", release),
    Check("instance types", supported),
    Check("offered", offered),
    Check("security configuration", security_configuration),
    Check("quotas", quotas),
)
