"""Airflow: what it has to be told after a deployment, as commands ready to be pasted."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchard.settings import VARIABLE


def instructions(outputs: Mapping[str, str], variable: Mapping[str, Any], file: Path) -> str:
    """Say what Airflow needs: permissions, a connection or none, and the variable.

    Parameters
    ----------
    outputs : Mapping
        Of the stack.
    variable : Mapping
        The settings.
    file : Path
        Where they stand, too.
    """
    if role := outputs.get("AirflowRoleArn"):
        extra = json.dumps({"role_arn": role, "region_name": variable["region"]})
        connection = (
            f"  Its principal may assume {role}; the connection aws_default says so:\n"
            f"    airflow connections add aws_default --conn-type aws --conn-extra {shlex.quote(extra)}"
        )
    else:
        policies = [outputs[name] for name in ("AirflowPolicyArn", "EventsPolicyArn") if name in outputs]
        these = "this policy" if len(policies) == 1 else "these policies"
        attached = "\n".join(f"    aws iam attach-role-policy --role-name ROLE --policy-arn {one}" for one in policies)
        connection = (
            f"  The role or user that it runs as gets {these}, by the console or\n{attached}\n"
            "  and needs no connection; without such a role, the connection aws_default holds the user's key."
        )
    value = json.dumps(variable)
    return (
        f"{_to_tell(outputs)}What Airflow needs:\n{connection}\n"
        f"  The variable {VARIABLE}, which {file} holds, too:\n"
        f"    airflow variables set {VARIABLE} {shlex.quote(value)}\n"
        "  Then, where Airflow runs, with plugins/ on Python's path: python -m orchard doctor"
    )


def _to_tell(outputs: Mapping[str, str]) -> str:
    """Say how a bucket that is not the stack's is told of the queue of its events, where there is one."""
    bucket, _, prefix = outputs["Photos"].removeprefix("s3://").partition("/")
    if "EventsQueueArn" not in outputs or bucket == outputs["Bucket"]:
        return ""
    told = {"QueueArn": outputs["EventsQueueArn"], "Events": ["s3:ObjectCreated:*"]}
    rules = {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}} if prefix else {}
    configuration = json.dumps({"QueueConfigurations": [told | rules]})
    return (
        f"What the bucket {bucket} needs: to tell the queue of new photos. This takes the place of all that\n"
        "get-bucket-notification-configuration shows: if it tells others already, put this beside it.\n"
        f"    aws s3api put-bucket-notification-configuration --bucket {bucket} "
        f"--notification-configuration {shlex.quote(configuration)}\n\n"
    )
