"""EMR's protocol: requests checked, and answers shaped, by the service model that botocore ships."""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from local.emr.errors import EmrError, validation

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET = "ElasticMapReduce."


@functools.cache
def _model() -> Any:
    return ServiceModel(Loader().load_service_model("emr", "service-2"), "emr")


def operations() -> list[str]:
    """Name all operations that the service has."""
    return list(_model().operation_names)


def parse(operation: str, body: bytes) -> dict[str, Any]:
    """Read a request, and refuse what the service model does not allow: names, types, sizes, patterns, enumerations.

    Raises
    ------
    EmrError
        SerializationException for what is no JSON object, ValidationException for the rest.
    """
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise EmrError("SerializationException", f"The request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise EmrError("SerializationException", f"The request is no JSON object: {body[:80]!r}")
    request = {name: _without_nulls(value) for name, value in request.items() if value is not None}
    shape = _model().operation_model(operation).input_shape
    if shape is None:
        return {}
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise validation(report.generate_report())
    broken = list(_broken(request, shape, ""))
    if broken:
        noun = "error" if len(broken) == 1 else "errors"
        raise validation(f"{len(broken)} validation {noun} detected: {'; '.join(broken)}")
    return request


def shape_answer(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Shape an answer: members without a value are left out, and one that the model lacks is a bug here."""
    shape = _model().operation_model(operation).output_shape
    if shape is None:
        return {}
    shaped: dict[str, Any] = _shaped(answer, shape)
    return shaped


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _broken(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Say which constraints are broken that botocore's own validator leaves to the service."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from _broken(member, shape.members[name], f"{path}.{_camel(name)}" if path else _camel(name))
    elif shape.type_name == "map":
        for name, member in value.items():
            yield from _broken(member, shape.value, f"{path}.{name}")
    else:
        most = shape.metadata.get("max")
        size = len(value) if isinstance(value, str | list) else value
        if most is not None and size > most:
            be = "have length" if isinstance(value, str | list) else "have value"
            yield _constraint(value, path, f"Member must {be} less than or equal to {most}")
        if isinstance(value, list):
            for index, member in enumerate(value, 1):
                yield from _broken(member, shape.member, f"{path}.{index}.member")
        elif isinstance(value, str):
            if (enum := shape.metadata.get("enum")) and value not in enum:
                yield _constraint(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
            if (pattern := shape.metadata.get("pattern")) and not _pattern(pattern).fullmatch(value):
                yield _constraint(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _constraint(value: Any, path: str, what: str) -> str:
    text = str(value) if len(str(value)) < 200 else f"{str(value)[:200]}..."
    return f"Value '{text}' at '{path}' failed to satisfy constraint: {what}"


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    # The model is written for Java, whose characters are UTF-16 units.
    return re.compile(pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"))


def _shaped(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)
        if unknown:
            raise AssertionError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
        present = {name: member for name, member in value.items() if member is not None}
        return {name: _shaped(member, shape.members[name]) for name, member in present.items()}
    if shape.type_name == "list":
        return [_shaped(member, shape.member) for member in value]
    if shape.type_name == "map":
        return {name: _shaped(member, shape.value) for name, member in value.items()}
    if shape.type_name == "timestamp":
        return round(value, 3)
    return value
