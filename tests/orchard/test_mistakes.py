"""What the sentences are made of; tests of settings and environments have the sentences."""

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, Field, ValidationError

from orchard.mistakes import Mistake, Table, Written, expected, mistakes, refusal, shown


def _judge(value: Any) -> Any:
    raise refusal([Mistake(("x", 0), "1", "2", "count"), Mistake((), "3", "4", "count again")])


class Inner(Written):
    size: int = Field(3, le=5)


class Outer(Written):
    first: Inner = Inner()
    judged: Annotated[Table, AfterValidator(_judge)]


def said(**given: Any) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate(given)
    return [str(one) for one in mistakes(refused.value, Outer)]


def test_what_a_validator_found_stands_beside_what_the_model_found() -> None:
    """With the place where the validator stands in front; what is wrong within a place is not said of it once more."""
    assert said(first={"size": 6, "sizes": 6}, judged={}, more=None) == [
        "first.size: got 6, expected a whole number, at most 5; correct it, or leave it out for 3.",
        "first.sizes: got 6, expected size; correct the name.",
        "judged.x[0]: got 1, expected 2; count.",
        "more: got null, expected some of first, judged; take it out.",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r'"a\nb"'),
        ("Äpfel", '"Äpfel"'),
        ((1, True, None), "[1, true, null]"),
        ({1, 2}, '"{1, 2}"'),
        ("x" * 199, '"' + "x" * 196 + "..."),
        ("x" * 198, '"' + "x" * 198 + '"'),
    ],
)
def test_values_are_shown_in_one_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 1}, "a whole number, 1 or more"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "a number, more than 0, at most 1"),
        ({"type": "number", "minimum": 0, "maximum": 1}, "a number, 0 to 1"),
        ({"anyOf": [{"type": "string"}, {"type": "boolean"}, {"type": "null"}]}, "text in quotes or true or false"),
        ({"type": "string", "enum": ["a", "b"]}, "a or b"),
        ({"type": "string", "enum": [*"abcdefghijk"]}, "any of 11 names"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, "a list of text in quotes, one or more"),
        ({"type": "object", "additionalProperties": True}, "names with values"),
    ],
)
def test_what_a_schema_takes(schema: dict[str, Any], text: str) -> None:
    assert expected(schema) == text
