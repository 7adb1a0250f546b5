"""Deploy: ``make deploy ENV=prod`` brings stack and artefacts up to date, and says what Airflow needs.

It shows what will change, and asks. Where nothing would change, nothing is done.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra import document, environment, parameters
from infra.airflow import instructions
from infra.artefacts import Artefacts, Tell, other_extractors
from infra.changes import Preview
from infra.confirm import Declined, confirm
from infra.environment import Environment
from infra.errors import InfraError
from infra.stack import DIRECT_BYTES, Stack
from infra.template import for_region
from orchard.aws import bucket_exists, exists, write_object

TEMPLATE = Path(__file__).parent / "orchard.yaml"
FOLDER = Path(".orchard/deploy")


def main(argv: Sequence[str]) -> int:
    """Deploy; return 1 when the person who was asked said no."""
    parser = argparse.ArgumentParser(prog="python -m infra deploy", description=__doc__)
    arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--template", type=Path, default=TEMPLATE, help="instead of infra/orchard.yaml")
    options = parser.parse_args(argv)
    chosen = environment.read(options.env, options.environments)
    try:
        deploy(
            chosen,
            for_region(document.read(options.template), chosen.region),
            options.folder,
            options.yes,
            lambda line: print(line, flush=True),
        )
    except Declined:
        print("Nothing more was done.")
        return 1
    return 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    parser.add_argument("env", metavar="ENV", help="name of the environment: infra/environments/<ENV>.toml")
    parser.add_argument("--environments", type=Path, default=environment.FOLDER, help="another folder of them")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for what is made here (default: %(default)s/)")


def deploy(chosen: Environment, template: str, folder: Path, yes: bool, tell: Tell) -> dict[str, Any]:
    """Bring an environment up to date; return the settings of Airflow's variable.

    Parameters
    ----------
    template : str
        Text of the stack's template.
    folder : Path
        Where exports, wheels and the settings are kept.
    yes : bool
        Do not ask.

    Raises
    ------
    InfraError, Declined
    """
    import boto3

    parameters.check(chosen.parameters, document.load(template).get("Parameters", {}))
    session = boto3.Session(region_name=chosen.region)
    tell(f"Environment {chosen.name}: stack {chosen.stack} in {chosen.region}, {check_account(session, chosen)}")
    folder.mkdir(parents=True, exist_ok=True)
    s3 = session.client("s3")
    stack = Stack(session.client("cloudformation"), chosen.stack, chosen.name)
    is_there = stack.check_usable()
    made = Artefacts.make(chosen, folder, tell)
    values = {
        **chosen.parameters, "Environment": chosen.name, "OutsideEu": str(chosen.outside_eu).lower(),
    }  # fmt: skip
    tags = {"orchard:environment": chosen.name}
    if not is_there:
        _check_no_bucket(session, chosen)
        tell("\nThere is no such stack. First what holds the data, and stays when the stack is undeployed:")
        part = document.dump(document.data_part(document.load(template)))
        _change(stack, stack.preview({"TemplateBody": part}, values, tags), yes, tell)
        tell("\nThen the rest:")
    outputs = stack.outputs()
    preview = stack.preview(_sent(s3, outputs["Bucket"], template), values, tags)
    _show(preview, tell)
    missing = made.missing(s3, outputs["Lake"])
    for upload in missing:
        tell(f"  upload   {upload}")
    others = other_extractors(s3, outputs["Lake"], made.extractor.extractor_id)
    if others and any(one.what == "extractor" for one in missing):
        tell(f"  This extractor is another than {', '.join(others)}: the next run embeds every photo anew.")
    if preview.id is None and not missing:
        tell("Nothing is to be changed, and nothing to be uploaded.")
    else:
        _ask(stack, preview, yes)
        if preview.id is not None:
            stack.execute(preview, tell)
            outputs = stack.outputs()
        for upload in missing:
            upload.put(s3)
            tell(f"  uploaded {upload.address}")
    lake = outputs["Lake"]
    variable = chosen.variable(outputs, made.extractor.extractor_id, made.bootstrap(lake))
    file = folder / f"{chosen.name}.json"
    file.write_text(json.dumps(variable, indent=2) + "\n")
    tell(f"\n{instructions(outputs, variable, file)}")
    return variable


def check_account(session: Any, chosen: Environment) -> str:
    """Say who asks in which account.

    Raises
    ------
    InfraError
        It is another account than the environment's.
    """
    who = session.client("sts").get_caller_identity()
    if chosen.account not in (None, who["Account"]):
        raise InfraError(
            f"The environment {chosen.name} is for account {chosen.account}, and these are credentials of "
            f"{who['Account']} ({who['Arn']}): take others (AWS_PROFILE)."
        )
    return f"account {who['Account']} ({who['Arn']})"


def _check_no_bucket(session: Any, chosen: Environment) -> None:
    """Stop before CloudFormation finds out in the middle that a bucket was left by a stack deleted by hand."""
    account = session.client("sts").get_caller_identity()["Account"]
    name = f"{chosen.stack}-{account}-{chosen.region}"
    if bucket_exists(session.client("s3"), f"s3://{name}"):
        raise InfraError(
            f"There is no stack {chosen.stack}, but its bucket {name} is there: the stack was deleted, and not by "
            "`make undeploy`. Either import bucket, key and database into a stack of that name (CloudFormation, Create "
            "stack, With existing resources), and deploy again; or remove them; or deploy under another name."
        )


def _sent(s3: Any, bucket: str, template: str) -> dict[str, str]:
    """Put a template into a request: itself, or, where it is too large, its address in the stack's own bucket."""
    if len(template.encode()) <= DIRECT_BYTES:
        return {"TemplateBody": template}
    key = f"templates/{hashlib.sha256(template.encode()).hexdigest()[:12]}.yaml"
    if not exists(s3, f"s3://{bucket}/{key}"):
        write_object(s3, f"s3://{bucket}/{key}", template.encode(), "text/yaml")
    # An address as this client's endpoint has it, without the signature.
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    return {"TemplateURL": signed.partition("?")[0]}


def _change(stack: Stack, preview: Preview, yes: bool, tell: Tell) -> None:
    _show(preview, tell)
    _ask(stack, preview, yes)
    stack.execute(preview, tell)


def _show(preview: Preview, tell: Tell) -> None:
    for change in preview.changes:
        tell(f"  {change}")


def _ask(stack: Stack, preview: Preview, yes: bool) -> None:
    try:
        confirm("Go on? [y/N]", yes)
    except BaseException:  # also when the person hits Ctrl-C
        stack.discard(preview)
        raise
