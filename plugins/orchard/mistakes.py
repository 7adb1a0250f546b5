"""Mistakes: all that is wrong with what a person wrote, each in a line: what was got, what is expected, what to do.

Models of what people write derive from `Written`. What is expected is read from a model's JSON schema, so that no field
says it twice; what a field asks of others is a `rule`, which is checked whatever else is wrong.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

_LISTED = 10  # names; of more, some
_KINDS = {
    "string": "text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


class Written(BaseModel):
    """What a person writes: no unknown name, nothing converted, nothing changed later; defaults are judged, too."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True, allow_inf_nan=False)


class Mistake(NamedTuple):
    """What is wrong at one place."""

    where: tuple[str | int, ...]
    got: str
    expected: str
    do: str

    def __str__(self) -> str:
        where = "".join(
            f".{one}" if re.fullmatch(r"[\w-]+", str(one)) and not isinstance(one, int) else f"[{shown(one)}]"
            for one in self.where
        )
        return f"{where.removeprefix('.')}: got {self.got}, expected {self.expected}; {self.do}."


# For JSON Schema, and so for an editor, 8.0 is a whole number, too.
WHOLE = BeforeValidator(lambda given: int(given) if isinstance(given, float) and given.is_integer() else given)
Whole = Annotated[int, WHOLE]
Texts = Annotated[tuple[str, ...], Field(strict=False)]  # JSON and TOML have lists for it
Table = Annotated[Mapping[str, str], AfterValidator(MappingProxyType)]


def like(pattern: str, expected: str) -> Any:
    """Ask that a text matches a pattern; `expected` says it to people, in editors, too (VS Code's keyword)."""
    return Field(pattern=pattern, json_schema_extra={"patternErrorMessage": f"expected {expected}"})


def one_of(names: Iterable[str]) -> GetPydanticSchema:
    """Ask for one of names that only the program knows; where they can be written down, there is ``Literal``."""
    return GetPydanticSchema(lambda _kind, _handler: core_schema.literal_schema(sorted(names)))


def wrong(got: Any, expected: str, do: str, *where: str) -> PydanticCustomError:
    """Make what a field's validator raises; of any other error, only that it happened would be said.

    Parameters
    ----------
    *where : str
        The place that is wrong, where that is not the validator's own field.
    """
    said = {"got": shown(got), "expected": expected, "do": do}
    return PydanticCustomError("mistake", "{expected}", said | ({"at": where} if where else {}))


def rule(holds: Callable[..., bool], expected: str, do: str, *others: str) -> AfterValidator:
    """Ask more of a field than its schema says.

    Parameters
    ----------
    holds : Callable
        Takes the value, and those of the `others`.
    expected, do : str
        As the error says it; `expected` may name ``{others}``.
    *others : str
        Fields that stand before this one. Where one of them is wrong itself, the rule is not checked.
    """

    def check(value: Any, info: ValidationInfo) -> Any:
        known = {one: info.data[one] for one in others if one in info.data}
        if len(known) == len(others) and not holds(value, *known.values()):
            beside = {name: shown(one) for name, one in known.items()}
            raise wrong(value, expected.format(**beside), do)
        return value

    return AfterValidator(check)


def mistakes(error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    """Say all that is wrong, in the order of the model's fields; what is unknown comes last."""
    schema, found = model.model_json_schema(), error.errors()
    # A list whose elements are wrong is also too short, for pydantic, which counts the others.
    inner = {one["loc"][:end] for one in found for end in range(len(one["loc"]))}
    return [
        _mistake(one["type"], one["loc"], one["input"], one.get("ctx", {}), schema)
        for one in found
        if one["loc"] not in inner
    ]


def read_json(text: str) -> Any:
    """Read JSON, in which no name may stand twice: the first would count for nothing, and nobody would be told.

    Raises
    ------
    ValueError
        It is none (`json.JSONDecodeError`), or a name stands twice.
    """
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} stands twice in one object, take out one of them")
        found[name] = value
    return found


def refusal(found: Sequence[Mistake]) -> ValidationError:
    """Make the error of some mistakes; a validator that raises it adds them to those of its model."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("mistake", "{expected}", one._asdict()), loc=one.where, input=None)
        for one in found
    ]
    return ValidationError.from_exception_data("Mistakes", lines)


def shown(value: Any) -> str:
    """Show a value as JSON has it, in one line that is not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:197]}..."


def expected(schema: Mapping[str, Any]) -> str:
    """Say what a schema takes, but for null: nobody need write it."""
    return " or ".join(_kind(one) for one in schema.get("anyOf", [schema]) if one.get("type") != "null")


def _kind(schema: Mapping[str, Any]) -> str:
    if "patternErrorMessage" in schema:
        return str(schema["patternErrorMessage"]).removeprefix("expected ")
    if names := schema.get("enum"):
        return " or ".join(names) if len(names) <= _LISTED else f"any of {len(names)} names"
    kind, low, high = schema.get("type", ""), schema.get("minimum"), schema.get("maximum")
    if kind == "array":
        more = ", one or more" * bool(schema.get("minItems")) + ", each once" * bool(schema.get("uniqueItems"))
        return f"a list of {expected(schema['items'])}{more}"
    if kind == "object":
        each = schema.get("additionalProperties")
        return f"names with {expected(each) if isinstance(each, Mapping) else 'values'}"
    bounds = [f"more than {schema['exclusiveMinimum']}"] if "exclusiveMinimum" in schema else []
    if low is not None:
        bounds.append(f"{low} or more" if high is None else f"{low} to {high}")
    elif high is not None:
        bounds.append(f"at most {high}")
    return ", ".join([_KINDS[kind], *bounds])


def _mistake(kind: str, where: tuple[Any, ...], got: Any, said: Mapping[str, Any], schema: dict[str, Any]) -> Mistake:
    where = tuple(one for one in where if one != "[key]")
    if kind == "mistake":
        return Mistake(said.get("at", where), said["got"], said["expected"], said["do"])
    if kind == "extra_forbidden":
        known = list(_at(schema, where[:-1])["properties"])
        near = difflib.get_close_matches(str(where[-1]), known, 1, 0.8)
        return Mistake(
            where,
            shown(got),
            near[0] if near else f"some of {', '.join(known)}",
            "correct the name" if near else "take it out",
        )
    field, place = _at(schema, where[:1]), _at(schema, where)
    if kind == "missing":
        example = f'"{where[-1]}": {shown(field["examples"][0])}'
        return Mistake(where, "nothing", expected(place), f"add it, such as {example}")
    return Mistake(where, shown(got), expected(place), _remedy(got, field, place))


def _remedy(got: Any, field: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    """Say what to do about a value that a schema does not take."""
    names = place.get("enum", ())
    if near := difflib.get_close_matches(str(got), names, 1):
        return f"{near[0]} may be meant"
    if len(names) > _LISTED:
        return f"take one of {', '.join(names)}"
    if expected(place) == _KINDS["string"] and isinstance(got, bool | int | float):
        return f'write "{shown(got)}"'
    if "default" not in field:
        example = field["examples"][0]
        return f"write it as in {shown(example[0] if place is field.get('items') else example)}"
    default = place.get("default", field["default"])
    return "correct it, or leave it out" + (f" for {shown(default)}" if default not in (None, [], {}) else "")


def _at(schema: dict[str, Any], where: Sequence[str | int]) -> Any:
    """Find the part of a schema that judges what stands at a place."""
    part: Any = schema
    for one in where:
        if isinstance(one, int):
            part = part["items"]
        else:
            part = part.get("properties", {}).get(one) or part["additionalProperties"]
        if "$ref" in part:
            part = {**schema["$defs"][part["$ref"].rpartition("/")[2]], **part}
    return part
