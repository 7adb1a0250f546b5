"""Document: a CloudFormation template as plain values, to make it smaller, or to keep a part of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.errors import InfraError

Template = dict[str, Any]


class _Loader(yaml.CSafeLoader):  # type: ignore[misc] # shipped without types
    """YAML with CloudFormation's short forms: ``!Ref x`` is ``{"Ref": "x"}``."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
# Versions of policies, and of the template, look like dates; to CloudFormation they are strings.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.CSafeLoader.construct_yaml_str)


def read(path: Path) -> str:
    """Read a template's text from a file.

    Raises
    ------
    InfraError
        There is no such file, or it holds no template.
    """
    try:
        text = path.read_text("utf-8")
        resources = load(text).get("Resources")
    except OSError as error:
        raise InfraError(f"The template {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, TypeError, ValueError):  # of `dict`, where the file holds something else than a mapping
        resources = None
    if not isinstance(resources, dict):
        raise InfraError(
            f"{path} is no CloudFormation template: expected YAML or JSON with Resources, as in infra/orchard.yaml."
        )
    return text


def load(text: str) -> Template:
    """Read a template, YAML or JSON."""
    return dict(yaml.load(text, _Loader))


def dump(template: Mapping[str, Any]) -> str:
    """Write a template as compact JSON: what comments and indentation took is saved."""
    return json.dumps(template, separators=(",", ":"))


def keep(template: Template, keeps: Callable[[str, Mapping[str, Any]], bool]) -> Template:
    """Return a template with a part of the resources, and the outputs that speak of no other.

    Parameters
    ----------
    keeps : callable
        Given a resource's logical id and definition, whether it stays. One that a kept one refers to stays, too.
    """
    resources: Mapping[str, Any] = template["Resources"]
    kept: set[str] = set()
    found = {name for name, resource in resources.items() if keeps(name, resource)}
    while found:
        kept |= found
        found = {one for name in found for one in references(resources[name]) if one in resources} - kept
    gone = resources.keys() - kept
    return {
        **template,
        "Resources": {name: resource for name, resource in resources.items() if name in kept},
        "Outputs": {
            name: output for name, output in template.get("Outputs", {}).items() if not set(references(output)) & gone
        },
    }


def data_part(template: Template) -> Template:
    """Return the part that holds data, which is what the template retains: bucket, key, database.

    The bucket tells nobody of its objects: the queue that it would tell holds no data.
    """
    resources = {name: _telling_nobody(one) for name, one in template["Resources"].items()}
    return keep({**template, "Resources": resources}, lambda _, one: one.get("DeletionPolicy") == "Retain")


def _telling_nobody(resource: Mapping[str, Any]) -> dict[str, Any]:
    if resource["Type"] != "AWS::S3::Bucket":
        return dict(resource)
    properties = {name: one for name, one in resource["Properties"].items() if name != "NotificationConfiguration"}
    return {**resource, "Properties": properties}


def references(value: Any) -> Iterator[str]:
    """Yield the logical ids, and parameters, that a part of a template refers to."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name in ("Ref", "DependsOn"):
                yield from [inner] if isinstance(inner, str) else inner
            elif name == "Fn::GetAtt":
                yield inner[0] if isinstance(inner, list) else inner.partition(".")[0]
            else:
                if name == "Fn::Sub":
                    text = inner if isinstance(inner, str) else inner[0]
                    yield from (part.partition("}")[0].partition(".")[0] for part in text.split("${")[1:])
                yield from references(inner)
