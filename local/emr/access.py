"""Access: which calls are answered, and as whom a cluster's node acts."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from local.emr import asks
from local.emr.asks import Ask, Place
from local.emr.errors import EmrError
from local.emr.iam import Caller, Iam, IamError
from local.emr.s3 import S3
from local.emr.settings import Settings
from local.emr.state import Cluster

_FRESH_SECONDS = 15 * 60  # then a node's credentials, good for hours, are asked for anew
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/")


@dataclass(frozen=True)
class Node:
    """What a cluster's node has: the credentials of its programs, and the S3 that it sees with them."""

    environment: Mapping[str, str]
    s3: S3


class Access:
    """Without an IAM, everybody may everything, and nodes have the server's own credentials."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = Node({}, S3(settings.s3_endpoint, settings.region))
        self._nodes: dict[str, tuple[float, Node]] = {}  # by cluster, and since when
        self._iam = Iam(settings.iam_endpoint, settings.region) if settings.iam_endpoint else None

    def check(
        self, authorization: str, operation: str, request: Mapping[str, Any], clusters: Mapping[str, Cluster]
    ) -> None:
        """Refuse what the caller's policies do not allow.

        Parameters
        ----------
        authorization : str
            The request's header: whose key signed it.

        Raises
        ------
        EmrError
            Not allowed, or nobody's key, or a role that is not there.
        IamError
            IAM cannot be asked.
        """
        if self._iam is None:
            return
        signed = _SIGNED.match(authorization)
        if signed is None:
            raise EmrError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        caller = self._iam.caller(signed[1])
        place = Place(self._settings.region, self._iam.account)
        if operation == "RunJobFlow":
            node_role = self._iam.node_role(request["JobFlowRole"]) if request.get("JobFlowRole") else ""
            wanted = list(asks.of_creation(request, place, node_role))
        else:
            wanted = list(asks.of_call(operation, request, place, {one.id: one.tags for one in clusters.values()}))
        for ask in wanted:
            if not allows(caller, ask, place):
                raise EmrError(
                    "AccessDeniedException",
                    f"User: {caller.arn} is not authorized to perform: {ask.action} on resource: {ask.resource} "
                    f"because no identity-based policy allows the {ask.action} action",
                )
        if operation == "RunJobFlow" and request.get("ServiceRole"):
            self._iam.check_role(request["ServiceRole"])

    def node(self, cluster: Cluster) -> Node:
        """Become a cluster's node, with the role in its instance profile.

        Raises
        ------
        IamError
            The instance profile has gone, or IAM cannot be asked.
        """
        if self._iam is None:
            return self._own
        since, node = self._nodes.get(cluster.id, (0.0, self._own))
        if since and time.monotonic() - since < _FRESH_SECONDS:
            return node
        try:
            given = self._iam.node_credentials(cluster.request["JobFlowRole"], cluster.master.id)
        except EmrError as error:
            raise IamError(error.message) from error
        node = Node(given, S3(self._settings.s3_endpoint, self._settings.region, given))
        self._nodes[cluster.id] = (time.monotonic(), node)
        return node


def allows(caller: Caller, ask: Ask, place: Place) -> bool:
    """Say whether a caller's policies allow it: some statement does, and none denies it."""
    if caller.policies is None:
        return True
    context = EvalContext(
        principal_arn=caller.arn,
        principal_type="AssumedRole" if ":assumed-role/" in caller.arn else "User",
        principal_account=place.account,
        action=ask.action,
        resource_arn=ask.resource,
        region=place.region,
        service_context={"aws:tagkeys": None, **ask.keys},  # None: the request has no such key
    )
    documents = [parse_policy_document(dict(one)) for one in caller.policies]
    return bool(evaluate(context, documents).decision == "Allow")
