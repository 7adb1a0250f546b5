"""Where a cluster's nodes stand: subnets, their ways to S3 and Glue, security groups."""

from collections.abc import Iterator
from typing import Any

from orchard.commands.checks import Check, Failed, Subject, Unknown, error_code

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
    small = {one["SubnetId"]: one["AvailableIpAddressCount"] for one in found}
    small = {name: free for name, free in small.items() if free < subject.nodes}
    if small:
        raise Failed(
            ", ".join(f"{name} has {free} free addresses" for name, free in small.items())
            + f"; the largest cluster has {subject.nodes} nodes",
            "Name larger subnets, or lower the setting max_core_nodes.",
        )
    return ", ".join(f"{one['SubnetId']} in {one['AvailabilityZone']}" for one in found) + f" of {found[0]['VpcId']}"


def way_to_s3(subject: Subject) -> str:
    """Look whether nodes reach S3 from each subnet: a gateway endpoint, or a way out of the VPC."""
    found = known_subnets(subject)
    if not found:
        return "that of the default VPC"
    vpc, service, ways = found[0]["VpcId"], _service(subject, "s3"), set()
    endpoints = _endpoints(subject, vpc, service)
    for subnet, table in _tables(subject, found):
        way = _gateway(table, endpoints) or _way_out(table)
        if way is None:
            raise Failed(
                f"{subnet} has no way to S3: its route table {table['RouteTableId']} has neither a gateway endpoint "
                "nor a way out",
                f"`aws ec2 create-vpc-endpoint --vpc-id {vpc} --service-name {service} "
                f"--route-table-ids {table['RouteTableId']}` makes one, for nothing.",
            )
        ways.add(way)
    return ", ".join(sorted(ways))


def way_to_glue(subject: Subject) -> str:
    """Look whether nodes reach Glue from each subnet: an interface endpoint of the VPC, or a way out of it."""
    found = known_subnets(subject)
    if not found:
        return "that of the default VPC"
    vpc, service, ways = found[0]["VpcId"], _service(subject, "glue"), set()
    endpoint, lack = _interface(_endpoints(subject, vpc, service))
    for subnet, table in _tables(subject, found):
        way = endpoint or _way_out(table)
        if way is None:
            raise Failed(
                f"{subnet} has no way to Glue: {vpc} has {lack}, and its route table {table['RouteTableId']} has no "
                "way out",
                f"`aws ec2 create-vpc-endpoint --vpc-id {vpc} --service-name {service} --vpc-endpoint-type Interface "
                f"--subnet-ids {' '.join(subject.settings.subnets)} --private-dns-enabled --security-group-ids` with "
                "a group that lets the nodes' HTTPS in makes one, which costs (`aws ec2 modify-vpc-endpoint "
                "--private-dns-enabled` mends one that is there); or give the subnets a NAT gateway.",
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
    vpcs = {one["VpcId"] for one in known_subnets(subject)}
    if away := [one["GroupId"] for one in found if vpcs and one["VpcId"] not in vpcs]:
        raise Failed(
            f"{', '.join(away)} are not of the subnets' VPC {', '.join(vpcs)}",
            f"Mend the settings {', '.join(given)}, or subnets.",
        )
    return ", ".join(given.values())


def known_subnets(subject: Subject) -> list[dict[str, Any]]:
    """Return the subnets as EC2 describes them; what is wrong with them is told once, by `subnets`."""
    try:
        return _subnets(subject)
    except Failed as failed:
        raise Unknown("see subnets") from failed


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
    if len(vpcs := {one["VpcId"] for one in found}) > 1:
        raise Failed(f"the subnets are of several VPCs: {', '.join(sorted(vpcs))}", "Name subnets of one VPC.")
    return [dict(one) for one in found]


def _service(subject: Subject, name: str) -> str:
    return f"com.amazonaws.{subject.settings.region}.{name}"


def _endpoints(subject: Subject, vpc: str, service: str) -> list[dict[str, Any]]:
    """Return the endpoints of a service that work. Emulators filter nothing."""
    wanted = {"VpcId": vpc, "ServiceName": service}
    found = subject.client("ec2").describe_vpc_endpoints(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "service-name", "Values": [service]}]
    )["VpcEndpoints"]
    return [dict(one) for one in found if wanted.items() <= one.items() and one["State"].lower() == "available"]


def _tables(subject: Subject, subnets: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each subnet with its route table."""
    filters = [{"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}]
    tables = subject.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    for one in subnets:
        table = _table_of(tables, one["SubnetId"])
        if table is None:
            raise Unknown(f"no route table of {one['SubnetId']} is found")
        yield one["SubnetId"], table


def _table_of(tables: list[dict[str, Any]], subnet: str) -> dict[str, Any] | None:
    """Return the route table of a subnet: the one that names it, else the VPC's main one."""
    for key, value in (("SubnetId", subnet), ("Main", True)):
        for table in tables:
            if any(one.get(key) == value for one in table.get("Associations", ())):
                return table
    return None


def _gateway(table: dict[str, Any], endpoints: list[dict[str, Any]]) -> str | None:
    for one in endpoints:
        if one.get("VpcEndpointType") == "Gateway" and table["RouteTableId"] in one.get("RouteTableIds", ()):
            return f"gateway endpoint {one['VpcEndpointId']}"
    return None


def _interface(endpoints: list[dict[str, Any]]) -> tuple[str | None, str]:
    """Return the endpoint that Glue's own name leads to in the whole VPC, or what is lacking."""
    found = [one for one in endpoints if one.get("VpcEndpointType") == "Interface"]
    for one in found:
        if one.get("PrivateDnsEnabled", True):  # AWS always says it
            return f"interface endpoint {one['VpcEndpointId']}", ""
    lack = f"{found[0]['VpcEndpointId']} without private DNS" if found else "no interface endpoint that is available"
    return None, lack


def _way_out(table: dict[str, Any]) -> str | None:
    for route in table.get("Routes", ()):
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State", "active") == "active":
            for key in ("NatGatewayId", "GatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId"):
                if route.get(key):
                    return f"out by {route[key]}"
    return None


CHECKS = (
    Check("subnets", subnets),
    Check("way to S3", way_to_s3),
    Check("way to Glue", way_to_glue),
    Check("security groups", security_groups),
)
