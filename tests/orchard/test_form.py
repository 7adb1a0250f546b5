from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.definitions.param import ParamsDict

from orchard.form import Wishes, form

DEFAULTS = {
    "plan_only": False,
    "prefixes": None,
    "limit": None,
    "mass_deletion_meant": False,
    "extractor": None,
    "components": None,
    "variance": None,
    "standardize": None,
    "refit": "auto",
    "core_nodes": None,
    "keep_cluster": False,
    "maintain": False,
}


def filled_in(**fields: Any) -> dict[str, Any]:
    """Return what a task sees of a form: Airflow has checked each field by its schema."""
    params = ParamsDict(form())
    for name, value in fields.items():
        params[name] = value
    checked: dict[str, Any] = params.validate()
    return checked


def test_an_untouched_form() -> None:
    assert filled_in() == DEFAULTS
    assert list(form()) == list(DEFAULTS)  # as a person sees them, the most useful first
    assert Wishes.read(DEFAULTS) == Wishes()
    assert Wishes.read({}) == Wishes()
    assert not Wishes().asks_for_a_basis
    assert DEFAULTS.keys() == Wishes.__dataclass_fields__.keys()


def test_a_form_filled_in() -> None:
    params = filled_in(
        prefixes=["s3://bucket/a", "s3://bucket/b/"],
        limit=1000,
        mass_deletion_meant=True,
        extractor="resnet50-int8-0123456789ab",
        variance=0.9,
        standardize="no",
        refit="always",
        core_nodes=4,
        keep_cluster=True,
        maintain=True,
        plan_only=True,
    )
    assert Wishes.read(params) == Wishes(
        prefixes=("s3://bucket/a", "s3://bucket/b/"),
        limit=1000,
        mass_deletion_meant=True,
        extractor="resnet50-int8-0123456789ab",
        components=None,
        variance=0.9,
        standardize=False,
        refit="always",
        core_nodes=4,
        keep_cluster=True,
        maintain=True,
        plan_only=True,
    )


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        ([], None),
        ([""], None),  # emptied, while the cursor is still in it
        (["", " "], None),
        (["s3://bucket/a", ""], ("s3://bucket/a",)),  # a line break after the last line
        (["  s3://bucket/a ", "", "s3://bucket/b"], ("s3://bucket/a", "s3://bucket/b")),
    ],
)
def test_lines_as_the_form_sends_them(lines: list[str], read: tuple[str, ...] | None) -> None:
    assert Wishes.read(filled_in(prefixes=lines)).prefixes == read


@pytest.mark.parametrize(("typed", "read"), [("", None), ("  ", None), (" a-b-c ", "a-b-c")])
def test_an_extractor_with_spaces_around(typed: str, read: str | None) -> None:
    assert Wishes.read(filled_in(extractor=typed)).extractor == read


def test_numbers_as_json_may_write_them() -> None:
    """JSON Schema takes 20.0 for an integer; ``--components 20.0`` the job would not."""
    wishes = Wishes.read(filled_in(components=20.0, limit=10.0, core_nodes=2.0))
    assert [repr(one) for one in (wishes.components, wishes.limit, wishes.core_nodes)] == ["20", "10", "2"]
    assert repr(Wishes.read(filled_in(variance=1)).variance) == "1.0"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prefixes", "s3://bucket/a"),
        ("prefixes", ["/home/photos"]),
        ("prefixes", ["https://bucket/a"]),
        ("prefixes", ["s3://bucket/a"] * 1001),
        ("prefixes", ["s3://bucket/" + "a" * 1100]),
        ("limit", 0),
        ("limit", 10**20),
        ("limit", 1e20),
        ("mass_deletion_meant", None),
        ("extractor", 7),
        ("extractor", "a" * 251),
        ("components", 0),
        ("components", 1.5),
        ("components", 10**20),
        ("components", "20"),
        ("variance", 0),
        ("variance", 1.5),
        ("standardize", "perhaps"),
        ("refit", "sometimes"),
        ("refit", None),
        ("core_nodes", 0),
        ("core_nodes", 101),
        ("keep_cluster", "no"),
        ("plan_only", 1),
    ],
)
def test_what_the_form_refuses(field: str, value: Any) -> None:
    with pytest.raises((ValueError, AirflowException), match=field):
        filled_in(**{field: value})


def test_every_number_has_both_ends() -> None:
    numbers = [one.schema for one in form().values() if {"integer", "number"} & set(one.schema["type"])]
    assert len(numbers) == 4
    for schema in numbers:
        assert "maximum" in schema and {"minimum", "exclusiveMinimum"} & schema.keys(), schema


def test_not_a_number() -> None:
    with pytest.raises(ValueError) as refused:
        Wishes.read(filled_in(variance=float("nan")))
    assert str(refused.value) == "Param variance: expected more than 0, at most 1, got nan."


def test_a_choice_of_three_is_no_switch() -> None:
    """Which knows two, and shows the third as the second."""
    switches = {name for name, one in form().items() if "boolean" in one.schema["type"]}
    assert switches == {name for name, default in DEFAULTS.items() if default is False}
    assert [Wishes.read(filled_in(standardize=one)).standardize for one in (None, "yes", "no")] == [None, True, False]


def test_components_and_variance_exclude_each_other() -> None:
    with pytest.raises(ValueError) as refused:
        Wishes.read(filled_in(components=20, variance=0.9))
    assert str(refused.value) == "Params components and variance: expected one of them, got 20 and 0.9."


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError) as refused:
        Wishes.read({"planonly": True, "limit": 8, "Limit": 8})
    assert str(refused.value) == (
        "Unknown Params Limit, planonly: expected some of plan_only, prefixes, limit, mass_deletion_meant, extractor, "
        "components, variance, standardize, refit, core_nodes, keep_cluster, maintain."
    )


@pytest.mark.parametrize("chosen", [{"components": 20}, {"variance": 0.9}, {"standardize": False}])
def test_asking_for_a_basis(chosen: dict[str, Any]) -> None:
    assert Wishes(**chosen).asks_for_a_basis


def test_every_field_explains_itself() -> None:
    for name, param in form().items():
        assert param.schema["title"], name
        assert "section" not in param.schema, name  # Airflow folds them, and a person sees no field
        assert param.description and param.description.endswith("."), name
