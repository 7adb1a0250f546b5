"""IAM and STS of an AWS, as far as EMR asks them: who calls, what policies they have, and the nodes' credentials."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.emr.errors import EmrError, validation

_SESSION_SECONDS = 12 * 60 * 60  # the longest that a role can allow
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3, "mode": "standard"})


class IamError(RuntimeError):
    """IAM or STS did not answer, or refused; the message says what, and why."""


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Attributes
    ----------
    policies : sequence of policy documents, or None
        None: the account itself, which may everything.
    """

    arn: str
    policies: Sequence[Mapping[str, Any]] | None = None


class Iam:
    """The IAM at an address, asked anew each time: a policy that changes counts at once.

    A user's and a role's own policies count, inline and attached; groups, permission boundaries and policies that AWS
    manages are not looked at. That a request was signed by who holds its key is not checked.
    """

    def __init__(self, endpoint: str, region: str) -> None:
        self.endpoint = endpoint
        self._session = boto3.session.Session(region_name=region)
        own = self._session.get_credentials()
        if own is None:
            raise ValueError(
                f"iam-endpoint is {endpoint}, and there are no credentials to ask it with: "
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to those of the account."
            )
        self._own_key = own.access_key
        self._clients: dict[str, Any] = {}
        self._nodes: dict[str, str] = {}  # access key that was given to a node: its ARN

    def caller(self, access_key: str) -> Caller:
        """Find whose key it is.

        Raises
        ------
        EmrError
            Nobody's.
        """
        if access_key == self._own_key:
            return Caller(f"arn:aws:iam::{self.account}:root")
        if access_key in self._nodes:
            arn = self._nodes[access_key]
            role = self._one("Role", arn.split("/")[1])
            return Caller(arn, self._policies(role, "RolePolicyList"))
        try:
            name = self._client("iam").get_access_key_last_used(AccessKeyId=access_key)["UserName"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise IamError(f"IAM at {self.endpoint} does not say whose key {access_key} is: {error}") from error
            raise EmrError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            ) from None
        except BotoCoreError as error:
            raise IamError(f"IAM at {self.endpoint}: {error}") from error
        user = self._one("User", name)
        return Caller(user["Arn"], self._policies(user, "UserPolicyList"))

    @functools.cached_property
    def account(self) -> str:
        """The account's number."""
        return str(self._ask("sts", "get_caller_identity")["Account"])

    def node_role(self, profile: str) -> str:
        """Give the ARN of the role in an instance profile.

        Raises
        ------
        EmrError
            There is no such profile, or no role in it.
        """
        name = profile.rpartition("/")[2]
        for role in self._details("Role"):
            if any(one["InstanceProfileName"] == name for one in role["InstanceProfileList"]):
                return str(role["Arn"])
        raise validation(f"Invalid InstanceProfile: {name}.")

    def check_role(self, role: str) -> None:
        """Refuse a service role that is not there.

        Raises
        ------
        EmrError
        """
        if not any(role in (one["Arn"], one["RoleName"]) for one in self._details("Role")):
            raise validation(f"EMR service role {role} is invalid.")

    def node_credentials(self, profile: str, instance: str) -> dict[str, str]:
        """Become the role of an instance profile, as a node does; return what its programs find it by."""
        asked = {"RoleArn": self.node_role(profile), "RoleSessionName": instance, "DurationSeconds": _SESSION_SECONDS}
        answer = self._ask("sts", "assume_role", **asked)
        given = answer["Credentials"]
        self._nodes[given["AccessKeyId"]] = answer["AssumedRoleUser"]["Arn"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    def _one(self, kind: str, name: str) -> Mapping[str, Any]:
        for one in self._details(kind):
            if one[f"{kind}Name"] == name:
                return one
        raise IamError(f"IAM at {self.endpoint} has no {kind.lower()} {name}.")

    def _policies(self, principal: Mapping[str, Any], inline: str) -> list[Mapping[str, Any]]:
        attached = {one["PolicyArn"] for one in principal["AttachedManagedPolicies"]}
        documents = [one["PolicyDocument"] for one in principal[inline]]
        for policy in self._details("LocalManagedPolicy") if attached else ():
            if policy["Arn"] in attached:
                documents += [one["Document"] for one in policy["PolicyVersionList"] if one["IsDefaultVersion"]]
        return documents

    def _details(self, kind: str) -> Iterator[Mapping[str, Any]]:
        lists = {"User": "UserDetailList", "Role": "RoleDetailList", "LocalManagedPolicy": "Policies"}
        try:
            pages = self._client("iam").get_paginator("get_account_authorization_details")
            for page in pages.paginate(Filter=[kind]):
                yield from page[lists[kind]]
        except (BotoCoreError, ClientError) as error:
            raise IamError(f"IAM at {self.endpoint} does not show its {kind} list: {error}") from error

    def _ask(self, service: str, call: str, **request: Any) -> Any:
        try:
            return getattr(self._client(service), call)(**request)
        except (BotoCoreError, ClientError) as error:
            raise IamError(f"{service.upper()} at {self.endpoint}: {error}") from error

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self.endpoint, config=_CONFIG)
        return self._clients[service]
