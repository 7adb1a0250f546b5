"""Where a cluster's nodes stand: subnets, their way to S3, security groups."""

from typing import Any

from orchard.checks import Check, Failed, Subject, Unknown, error_code

_GROUPS = ("primary_security_group", "core_security_group", "service_security_group")


def subnets(subject: Subject) -> str:
    """Look whether the subnets are there, in one VPC, with addresses for the largest cluster."""
    found = _subnets(subject)
    if not found:
        vpcs = subject.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not vpcs:
            raise Failed(
                "the setting subnets is empty, and the account has no default VPC",
                "`make deploy ENV=<env>` prints the setting; or name subnets of yours.",
            )
        return f"none: EMR takes the default VPC {vpcs[0]['VpcId']}"
    if len(vpcs := {one["VpcId"] for one in found}) > 1:
        raise Failed(f"the subnets are of several VPCs: {', '.join(sorted(vpcs))}", "Name subnets of one VPC.")
    small = {one["SubnetId"]: one["AvailableIpAddressCount"] for one in found}
    small = {name: free for name, free in small.items() if free < subject.nodes}
    if small:
        raise Failed(
            ", ".join(f"{name} has {free} free addresses" for name, free in small.items())
            + f"; the largest cluster has {subject.nodes} nodes",
            "Name larger subnets, or lower the setting max_core_nodes.",
        )
    return ", ".join(f"{one['SubnetId']} in {one['AvailabilityZone']}" for one in found) + f" of {vpcs.pop()}"


def way_to_s3(subject: Subject) -> str:
    """Look whether nodes reach S3 from each subnet: a gateway endpoint, or a way out of the VPC."""
    found = _subnets(subject)
    if not found:
        return "that of the default VPC"
    ec2, ways = subject.client("ec2"), set()
    service = f"com.amazonaws.{subject.settings.region}.s3"
    vpc = found[0]["VpcId"]
    endpoints = ec2.describe_vpc_endpoints(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "service-name", "Values": [service]}]
    )["VpcEndpoints"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    for one in found:
        table = _table_of(tables, one["SubnetId"])
        if table is None:
            raise Unknown(f"no route table of {one['SubnetId']} is found")
        way = _way(table, endpoints)
        if way is None:
            raise Failed(
                f"{one['SubnetId']} has no way to S3: its route table {table['RouteTableId']} has neither a gateway "
                "endpoint nor a way out",
                f"`aws ec2 create-vpc-endpoint --vpc-id {vpc} --service-name {service} "
                f"--route-table-ids {table['RouteTableId']}` makes one, for nothing.",
            )
        ways.add(way)
    return ", ".join(sorted(ways))


def security_groups(subject: Subject) -> str:
    """Look whether the security groups are there, in the subnets' VPC."""
    from botocore.exceptions import ClientError

    given = {name: value for name in _GROUPS if (value := getattr(subject.settings, name))}
    if not given:
        return "none: EMR makes its own"
    try:
        found = subject.client("ec2").describe_security_groups(GroupIds=sorted(given.values()))["SecurityGroups"]
    except ClientError as error:
        if error_code(error) in ("InvalidGroup.NotFound", "InvalidGroupId.Malformed"):
            message = error.response["Error"]["Message"]
            raise Failed(message, f"Mend the settings {', '.join(given)}.") from error
        raise
    vpcs = {one["VpcId"] for one in _subnets(subject)}
    if away := [one["GroupId"] for one in found if vpcs and one["VpcId"] not in vpcs]:
        raise Failed(
            f"{', '.join(away)} are not of the subnets' VPC {', '.join(vpcs)}",
            f"Mend the settings {', '.join(given)}, or subnets.",
        )
    return ", ".join(given.values())


def _subnets(subject: Subject) -> list[dict[str, Any]]:
    from botocore.exceptions import ClientError

    wanted = subject.settings.subnets
    if not wanted:
        return []
    try:
        found = subject.client("ec2").describe_subnets(SubnetIds=list(wanted))["Subnets"]
    except ClientError as error:
        if error_code(error) in ("InvalidSubnetID.NotFound", "InvalidSubnetId.Malformed"):
            raise Failed(error.response["Error"]["Message"], "Mend the setting subnets.") from error
        raise
    if missing := set(wanted) - {one["SubnetId"] for one in found}:
        raise Failed(f"there is no subnet {', '.join(sorted(missing))}", "Mend the setting subnets.")
    return [dict(one) for one in found]


def _table_of(tables: list[dict[str, Any]], subnet: str) -> dict[str, Any] | None:
    """Return the route table of a subnet: the one that names it, else the VPC's main one."""
    for key, value in (("SubnetId", subnet), ("Main", True)):
        for table in tables:
            if any(one.get(key) == value for one in table.get("Associations", ())):
                return table
    return None


def _way(table: dict[str, Any], endpoints: list[dict[str, Any]]) -> str | None:
    for one in endpoints:
        if one.get("VpcEndpointType") == "Gateway" and table["RouteTableId"] in one.get("RouteTableIds", ()):
            return f"gateway endpoint {one['VpcEndpointId']}"
    for route in table.get("Routes", ()):
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State", "active") == "active":
            for key in ("NatGatewayId", "GatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId"):
                if route.get(key):
                    return f"out by {route[key]}"
    return None


CHECKS = (
    Check("subnets", subnets),
    Check("way to S3", way_to_s3),
    Check("security groups", security_groups),
)
