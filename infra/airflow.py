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
        connection = (
            "  The role or user that it runs as gets this policy, by the console or\n"
            f"    aws iam attach-role-policy --role-name ROLE --policy-arn {outputs['AirflowPolicyArn']}\n"
            "  and needs no connection; without such a role, the connection aws_default holds the user's key."
        )
    value = json.dumps(variable)
    return (
        f"What Airflow needs:\n{connection}\n"
        f"  The variable {VARIABLE}, which {file} holds, too:\n"
        f"    airflow variables set {VARIABLE} {shlex.quote(value)}\n"
        "  Then, where Airflow runs, with plugins/ on Python's path: python -m orchard doctor"
    )
