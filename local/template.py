"""Template: the stack of infra/ without what the AWS of this machine cannot make.

``python -m local.template > FILE``, and then ``make deploy ENV=local TEMPLATE=FILE``. What it takes out is listed
below, and nothing else; what referred to it gets the name that it would have had.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra import document

TEMPLATE = Path(__file__).parent.parent / "infra" / "orchard.yaml"
# Types that ministack's CloudFormation does not know.
UNKNOWN = (
    "AWS::Budgets::Budget",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EMR::SecurityConfiguration",
    "AWS::EMR::Studio",
)
# Statements that deny what comes without TLS. The AWS of this machine is spoken to without, and obeys them: nodes could
# read nothing. A policy that says nothing else goes.
TLS_ONLY = "TlsOnly"


def local_template(text: str) -> str:
    """Take the resources of `UNKNOWN` types out of a template, what needs more of them than a name, and `TLS_ONLY`."""
    template = document.load(text)
    template["Resources"] = dict(_without_tls_only(template["Resources"]))
    names = {
        name: resource["Properties"].get("Name")
        for name, resource in template["Resources"].items()
        if resource["Type"] in UNKNOWN
    }
    resources = {name: _named(one, names) for name, one in template["Resources"].items() if name not in names}
    gone = set(names)
    while lost := {name for name, one in resources.items() if set(document.references(one)) & gone}:
        gone |= lost
        resources = {name: one for name, one in resources.items() if name not in lost}
    outputs = {name: _named(one, names) for name, one in template["Outputs"].items()}
    template["Resources"] = resources
    template["Outputs"] = {name: one for name, one in outputs.items() if not set(document.references(one)) & gone}
    return document.dump(template)


def _without_tls_only(resources: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the resources, their policies without `TLS_ONLY`, and none whose policy is then empty."""
    for name, one in resources.items():
        policy = one.get("Properties", {}).get("PolicyDocument", {})
        kept = [statement for statement in policy.get("Statement", ()) if statement.get("Sid") != TLS_ONLY]
        if len(kept) == len(policy.get("Statement", ())):
            yield name, one
        elif kept:
            yield name, {**one, "Properties": {**one["Properties"], "PolicyDocument": {**policy, "Statement": kept}}}


def _named(value: Any, names: dict[str, Any]) -> Any:
    """Put a name in the place of a reference to what has it."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Ref"} and value["Ref"] in names:
        return names[value["Ref"]]
    return {key: _named(inner, names) for key, inner in value.items()}


if __name__ == "__main__":
    sys.stdout.write(local_template(TEMPLATE.read_text("utf-8")))
