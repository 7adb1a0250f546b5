"""Undeploy: ``make undeploy ENV=prod`` takes away all but the data; with DELETE_DATA=prod, those, too.

Without it the stack stays with bucket, key and database alone, and `make deploy` brings the rest back.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from infra import data, document, environment
from infra.confirm import Declined, confirm
from infra.deploy import FOLDER, arguments, check_account
from infra.environment import Environment
from infra.errors import InfraError
from infra.stack import Stack, Tell

_HOLD_DATA = ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Glue::Database", "AWS::S3::BucketPolicy")


def main(argv: Sequence[str]) -> int:
    """Undeploy; return 1 when the person who was asked said no."""
    parser = argparse.ArgumentParser(prog="python -m infra undeploy", description=__doc__)
    arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask before taking away what holds no data")
    parser.add_argument(
        "--delete-data",
        nargs="?",
        const="",
        metavar="ENV",
        help="delete the data, too: every photo, table and version. The environment's name again, or it is asked for",
    )
    options = parser.parse_args(argv)
    chosen = environment.read(options.env, options.environments)
    if options.delete_data not in (None, "", chosen.name):
        raise InfraError(f"--delete-data {options.delete_data}: the environment is {chosen.name}. Nothing was deleted.")
    try:
        undeploy(chosen, options.yes, options.delete_data, partial(print, flush=True))
    except Declined:
        print("Nothing more was done.")
        return 1
    return 0


def undeploy(chosen: Environment, yes: bool, delete_data: str | None, tell: Tell) -> None:
    """Take an environment away.

    Parameters
    ----------
    delete_data : str, optional
        The environment's name: delete the data, too. "": the same, and the name is asked for. None: the data stay.

    Raises
    ------
    InfraError
        A cluster of the lake lives, or CloudFormation failed.
    Declined
    """
    import boto3

    session = boto3.Session(region_name=chosen.region)
    tell(f"Environment {chosen.name}: stack {chosen.stack} in {chosen.region}, {check_account(session, chosen)}")
    stack = Stack(session.client("cloudformation"), chosen.stack, chosen.name)
    found = stack.describe()
    if found is None:
        tell("There is no such stack: nothing is to be undeployed.")
        return
    if lake := stack.outputs().get("Lake"):
        _check_no_cluster(session, lake)
        _check_policy_is_free(session, stack)
    if delete_data is not None:
        _delete_all(session, stack, chosen.name if delete_data else None, tell)
    elif found["StackStatus"] in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
        tell(f"It is {found['StackStatus']}, and can only be deleted; what its template retains stays.")
        confirm("Delete it? [y/N]", yes)
        stack.delete(tell)
    else:
        _reduce(stack, chosen, yes, tell)


def _reduce(stack: Stack, chosen: Environment, yes: bool, tell: Tell) -> None:
    """Bring the stack down to what holds data."""
    part = document.data_part(document.load(stack.template()))
    preview = stack.preview({"TemplateBody": document.dump(part)}, None, {"orchard:environment": chosen.name})
    for change in preview.changes:
        tell(f"  {change}")
    for one in stack.resources():
        if one["LogicalResourceId"] in part["Resources"]:
            tell(f"  stays    {one['LogicalResourceId']}  {one['ResourceType']}  {one['PhysicalResourceId']}")
    if preview.id is None:
        tell("Nothing but what holds data is there.")
    else:
        try:
            confirm("Take it away? [y/N]", yes)
        except BaseException:
            stack.discard(preview)
            raise
        stack.execute(preview, tell)
    tell(
        f"The data are there, and cost their storage, and the key a dollar a month. `make deploy ENV={chosen.name}` "
        f"brings the rest back; `make undeploy ENV={chosen.name} DELETE_DATA={chosen.name}` deletes the data, too."
    )


def _delete_all(session: Any, stack: Stack, named: str | None, tell: Tell) -> None:
    resources = stack.resources()
    for one in resources:
        what = "DATA" if one["ResourceType"] in _HOLD_DATA else "remove"
        tell(f"  {what:8} {one['LogicalResourceId']}  {one['ResourceType']}  {one['PhysicalResourceId']}")
    tell("All photos, features, tables and reports in the bucket go, with all versions. Nobody can bring them back.")
    confirm(f"To delete them, type the environment's name, {stack.environment}:", named is not None, stack.environment)
    # The data first: while the stack is there, a command that was broken off can be given again.
    data.destroy(session, resources, tell)
    stack.delete(tell)
    tell(f"Stack {stack.name} is gone, and so are the data.")


def _check_no_cluster(session: Any, lake: str) -> None:
    # Imports Airflow, whose log is nobody's business here, nor is a home that it would make in the user's own.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("AIRFLOW_HOME", str((FOLDER.parent / "airflow").absolute()))
    from orchard.cluster import emr
    from orchard.cluster.request import RUN_TAG

    live = list(emr.live_clusters(session.client("emr"), lake))
    if live:
        names = ", ".join(f"{one['Id']} ({one['Status']['State']}, run {one['Tags'].get(RUN_TAG)})" for one in live)
        raise InfraError(
            f"Clusters of this lake live: {names}. Pause orchard_daily in Airflow, and wait for their runs to end, or "
            f"`aws emr terminate-clusters --cluster-ids {' '.join(one['Id'] for one in live)}`; then undeploy again."
        )


def _check_policy_is_free(session: Any, stack: Stack) -> None:
    """Stop while somebody else's role or user has Airflow's policy: IAM would not let CloudFormation delete it."""
    resources = stack.resources()
    own = {one["PhysicalResourceId"] for one in resources}
    policies = [one["PhysicalResourceId"] for one in resources if one["ResourceType"] == "AWS::IAM::ManagedPolicy"]
    remedies = []
    for policy in policies:
        pages = session.client("iam").get_paginator("list_entities_for_policy").paginate(PolicyArn=policy)
        for page in pages:
            for kind in ("Role", "User", "Group"):
                for one in page.get(f"Policy{kind}s", ()):
                    if one[f"{kind}Name"] not in own:
                        command = f"aws iam detach-{kind.lower()}-policy --{kind.lower()}-name {one[f'{kind}Name']}"
                        remedies.append(f"{command} --policy-arn {policy}")
    if remedies:
        raise InfraError("Policies of this stack are attached elsewhere. First:\n  " + "\n  ".join(remedies))
