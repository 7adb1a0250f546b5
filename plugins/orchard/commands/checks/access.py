"""The roles of a cluster, whether Airflow may hand them to it, and whether it may put metrics."""

import json
from typing import Any

from orchard.commands.checks import Check, Failed, Subject, Unknown, error_code
from orchard.dag.metrics import NAMESPACE, TAG

_ATTACH = "Attach the policy orchard-<env>-airflow (the stack's output AirflowPolicyArn) to"
_DEPLOY = "`make deploy ENV=<env>` makes it; or mend the setting {setting}."


def service_role(subject: Subject) -> str:
    """Look whether EMR's role is there, and lets EMR take it."""
    return str(_role(subject)["Arn"])


def node_profile(subject: Subject) -> str:
    """Look whether the nodes' instance profile is there, with a role that EC2 may take."""
    return f"{subject.settings.instance_profile} with {_node_role(subject)['Arn']}"


def pass_role(subject: Subject) -> str:
    """Ask IAM whether whoever asks may hand both roles to EMR and EC2, as RunJobFlow does."""
    caller = _principal(subject)
    if caller.endswith(":root"):
        return f"{caller} may do everything"
    roles = {
        "elasticmapreduce.amazonaws.com": _role(subject)["Arn"],
        "ec2.amazonaws.com": _node_role(subject)["Arn"],
    }
    for service, role in roles.items():
        if not _allowed(subject, caller, "iam:PassRole", role, ("iam:PassedToService", service)):
            raise Failed(
                f"{caller} may not pass {role} to {service}",
                f"{_ATTACH} {caller}; or mend the settings service_role and instance_profile.",
            )
    return f"{caller} may pass both roles"


def metrics(subject: Subject) -> str:
    """Ask IAM whether whoever asks may put the figures that the alarms watch; to put one would be no mere look."""
    if TAG not in subject.settings.tags:
        return f"none: the settings have no tag {TAG}, so none are put"
    caller = _principal(subject)
    if caller.endswith(":root"):
        return f"{caller} may do everything"
    if not _allowed(subject, caller, "cloudwatch:PutMetricData", "*", ("cloudwatch:namespace", NAMESPACE)):
        raise Failed(
            f"{caller} may not put metrics into {NAMESPACE}: the reaper fails, and no alarm tells of failed runs",
            f"{_ATTACH} {caller}.",
        )
    return f"{caller} may put them into {NAMESPACE}"


def _allowed(subject: Subject, caller: str, action: str, resource: str, condition: tuple[str, str]) -> bool:
    """Let IAM simulate a call, whose context has one key and its value."""
    key, value = condition
    results = subject.client("iam").simulate_principal_policy(
        PolicySourceArn=caller,
        ActionNames=[action],
        ResourceArns=[resource],
        ContextEntries=[{"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}],
    )["EvaluationResults"]
    return all(one["EvalDecision"] == "allowed" for one in results)


def _role(subject: Subject) -> dict[str, Any]:
    """Get EMR's service role; the setting is its name or its ARN."""
    name = subject.settings.service_role.rpartition("/")[2]
    return _trusting(_get(subject, "role", name, "service_role")["Role"], "elasticmapreduce.amazonaws.com")


def _node_role(subject: Subject) -> dict[str, Any]:
    name = subject.settings.instance_profile.rpartition("/")[2]
    found = _get(subject, "instance_profile", name, "instance_profile")["InstanceProfile"]
    if not found["Roles"]:
        raise Failed(f"the instance profile {name} has no role", _DEPLOY.format(setting="instance_profile"))
    return _trusting(found["Roles"][0], "ec2.amazonaws.com")


def _get(subject: Subject, kind: str, name: str, setting: str) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    iam = subject.client("iam")
    try:
        got = iam.get_role(RoleName=name) if kind == "role" else iam.get_instance_profile(InstanceProfileName=name)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            what = kind.replace("_", " ")
            raise Failed(f"there is no {what} {name}", _DEPLOY.format(setting=setting)) from error
        raise
    return dict(got)


def _trusting(role: dict[str, Any], service: str) -> dict[str, Any]:
    document = role.get("AssumeRolePolicyDocument") or {}
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    services = set()
    for one in [statements] if isinstance(statements, dict) else statements:
        named = one["Principal"].get("Service", []) if isinstance(one.get("Principal"), dict) else []
        services |= {named} if isinstance(named, str) else set(named)
    if service not in services:
        raise Failed(
            f"{role['Arn']} lets {', '.join(sorted(services)) or 'no service'} take it, and not {service}",
            "Name the right role in the settings, or mend its trust policy.",
        )
    return role


def _principal(subject: Subject) -> str:
    """Return the ARN that IAM simulates: a session of a role is the role."""
    arn = str(subject.client("sts").get_caller_identity()["Arn"])
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        return arn
    role = rest.partition("/")[0]
    try:
        return str(subject.client("iam").get_role(RoleName=role)["Role"]["Arn"])  # which knows its path
    except subject.client("iam").exceptions.NoSuchEntityException as error:
        raise Unknown(f"{arn} is of no role that IAM knows") from error


CHECKS = (
    Check("service role", service_role),
    Check("node profile", node_profile),
    Check("pass roles", pass_role),
    Check("metrics", metrics),
)
