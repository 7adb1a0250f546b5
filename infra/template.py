"""Template: `orchard.yaml` as data, and its policies as the plain JSON that IAM would be given.

``python -m infra.template REGION`` prints the template for a region.

It knows the few intrinsic functions that the template uses, and what is known before anything is made: parameters, and
names and ARNs that follow from them. For checks and for the endpoint on one's own machine; AWS resolves its own.
"""

import functools
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import document

PATH = Path(__file__).with_name("orchard.yaml")
PSEUDO = {
    "AWS::AccountId": "000000000000",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "orchard-prod",
    "AWS::URLSuffix": "amazonaws.com",
}
# What AWS chooses itself; another may be given among the parameters, by the same name.
CHOSEN = {"Key.Arn": "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000"}
# CloudFormation refuses a template with a type that a region does not know, whatever its condition (cfn-lint E3006).
UNKNOWN_IN = {"AWS::Budgets::Budget": ("eu-north-1", "eu-south-1", "eu-south-2")}
_NOTHING = object()  # AWS::NoValue


def load() -> dict[str, Any]:
    """Read the template, its short forms written out."""
    return document.load(PATH.read_text(encoding="utf-8"))


@functools.cache
def _template() -> dict[str, Any]:
    return load()  # reading it takes longer than all else, and nobody changes it here


def for_region(text: str, region: str) -> str:
    """Take out of a template's text what CloudFormation does not know in a region; most regions know all."""
    unknown = [kind for kind, regions in UNKNOWN_IN.items() if region in regions]
    if not unknown:
        return text
    template = document.load(text)
    kept = {name: one for name, one in template["Resources"].items() if one["Type"] not in unknown}
    return document.dump({**template, "Resources": kept})


def policy(name: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the policy document of a resource.

    Parameters
    ----------
    name : str
        A managed policy, a bucket's, topic's, key's or endpoint's policy by its logical name, such as ``NodePolicy``; a
        role's inline policy as ``ServiceRole.nodes``, what a role trusts as ``ServiceRole.trust``; or an output whose
        value is a managed policy, such as ``AirflowPolicyArn``.
    parameters : Mapping of str to str
        Of the stack, at least ``Environment``; and, where they are not as in `PSEUDO` and `CHOSEN`, such as
        ``AWS::AccountId``.

    Raises
    ------
    KeyError
        There is no such policy, or a parameter without default is missing.
    """
    template = _template()
    resource, _, part = name.partition(".")
    if resource in template["Outputs"] and resource not in template["Resources"]:
        resource = template["Outputs"][resource]["Value"]["Ref"]
    properties = template["Resources"][resource]["Properties"]
    if part == "trust":
        found = properties["AssumeRolePolicyDocument"]
    elif part:
        found = {one["PolicyName"]: one["PolicyDocument"] for one in properties["Policies"]}[part]
    else:
        found = properties.get("PolicyDocument") or properties["KeyPolicy"]
    resolved: dict[str, Any] = Resolver(template, parameters).resolve(found)
    return resolved


class Resolver:
    """Resolves what a template says, for given parameters.

    Parameters
    ----------
    template : dict
        Of `load`.
    parameters : Mapping of str to str
        As of `policy`.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self.template = template
        declared = {key: one["Default"] for key, one in template["Parameters"].items() if "Default" in one}
        self.known: dict[str, Any] = {**PSEUDO, **CHOSEN, **declared, **parameters}

    def resolve(self, value: Any) -> Any:
        """Return a value without intrinsic functions; what is ``AWS::NoValue`` is left out."""
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name.removeprefix("Fn::"), argument)
        resolved = {key: self.resolve(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not _NOTHING}

    def holds(self, condition: Any) -> bool:
        """Say whether a condition holds, given by its name or written out."""
        if isinstance(condition, str):
            return self.holds(self.template["Conditions"][condition])
        ((name, argument),) = condition.items()
        if name == "Condition":
            return self.holds(argument)
        if name == "Fn::Equals":
            left, right = map(self.resolve, argument)
            return bool(str(left) == str(right))
        parts = [self.holds(one) for one in argument]
        return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[name]

    def _call(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return self._reference(argument)
            case "GetAtt":
                return self._attribute(*argument)
            case "Sub":
                return re.sub(r"\$\{([^}!]+)\}", lambda found: str(self._named(found[1])), argument)
            case "If":
                condition, then, otherwise = argument
                return self.resolve(then if self.holds(condition) else otherwise)
            case "Join":
                glue, parts = argument
                return glue.join(map(str, self.resolve(parts)))
            case "Split":
                glue, text = argument
                return self.resolve(text).split(glue)
            case "Select":
                index, parts = argument
                return self.resolve(parts)[int(index)]
            case _:
                raise NotImplementedError(f"Fn::{name}: expected one of Ref, GetAtt, Sub, If, Join, Split, Select.")

    def _named(self, name: str) -> Any:
        return self._attribute(*name.split(".")) if "." in name else self._reference(name)

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self.known:
            return self.known[name]
        resource = self.template["Resources"][name]
        given = resource["Properties"]
        for key in ("BucketName", "RoleName", "InstanceProfileName", "Name"):
            if key in given:
                return self.resolve(given[key])
        arn = {
            "AWS::IAM::ManagedPolicy": ("iam", "", "policy/", "ManagedPolicyName"),
            "AWS::SNS::Topic": ("sns", "AWS::Region", "", "TopicName"),
        }
        if resource["Type"] in arn:
            service, region, kind, key = arn[resource["Type"]]
            return self._arn(service, self.known.get(region, ""), f"{kind}{self.resolve(given[key])}")
        if resource["Type"] == "AWS::Glue::Database":
            return self.resolve(given["DatabaseInput"]["Name"])
        raise KeyError(f"{name}: AWS chooses what this is; give it among the parameters.")

    def _attribute(self, resource: str, attribute: str) -> Any:
        if f"{resource}.{attribute}" in self.known:
            return self.known[f"{resource}.{attribute}"]
        kind = self.template["Resources"][resource]["Type"]
        if (kind, attribute) == ("AWS::S3::Bucket", "Arn"):
            return f"arn:{self.known['AWS::Partition']}:s3:::{self._reference(resource)}"
        if (kind, attribute) == ("AWS::SQS::Queue", "Arn"):
            name = self.resolve(self.template["Resources"][resource]["Properties"]["QueueName"])
            return self._arn("sqs", self.known["AWS::Region"], name)
        if (kind, attribute) == ("AWS::IAM::Role", "Arn"):
            return self._arn("iam", "", f"role/{self._reference(resource)}")
        raise KeyError(f"{resource}.{attribute}: AWS chooses what this is; give it among the parameters.")

    def _arn(self, service: str, region: str, rest: str) -> str:
        return f"arn:{self.known['AWS::Partition']}:{service}:{region}:{self.known['AWS::AccountId']}:{rest}"


if __name__ == "__main__":
    print(for_region(PATH.read_text(encoding="utf-8"), sys.argv[1]))
