"""Values for the stack's parameters: what is refused before anything is made."""

import pytest

from infra.errors import InfraError
from infra.parameters import check
from infra.template import load

DECLARED = load()["Parameters"]
GOOD = {
    "AlarmMail": "someone@example.com",
    "KeepLogsDays": "1",
    "MonthlyBudgetDollars": "99.5",
    "PhotosPrefix": "",
    "SubnetIds": "subnet-0a,subnet-0b",
    "VpcCidr": "10.0.0.0/16",
    "VpcId": "vpc-0a",
    "WithStudio": "true",
}


def test_what_the_template_allows() -> None:
    check(GOOD, DECLARED)
    check(
        {name: str(one["Default"]) for name, one in DECLARED.items() if name not in ("Environment", "OutsideEu")},
        DECLARED,
    )


@pytest.mark.parametrize(
    ("name", "value", "rest"),
    [
        (
            "AlarmMail", "nobody",
            r"text that matches ^(|[^@\s]+@[^@\s]+)$; "
            "correct it (Who gets alarms and the budget's warnings by mail; empty for nobody yet)",
        ),
        ("WithStudio", "yes", "one of false, true; correct it (An EMR Studio to explore in)"),
        *(
            ("KeepLogsDays", value, "a number, no less than 1; correct it (For so many days clusters' logs are kept)")
            for value in ("0", "nan", "")
        ),
        (
            "VpcCidr", "10.0.0.0/8",
            "A block of /16 to /20; correct it "
            "(The addresses of its own VPC, if it makes one; it is cut into two subnets of 2,048 addresses)",
        ),
        (
            "VpcId", "subnet-0a",
            "text that matches ^(|vpc-[0-9a-f]+)$; correct it "
            "(An existing VPC; empty for one of its own, with private subnets and no way to the internet)",
        ),
    ],
)  # fmt: skip
def test_what_it_does_not(name: str, value: str, rest: str) -> None:
    with pytest.raises(InfraError) as refused:
        check({**GOOD, name: value}, DECLARED)
    assert str(refused.value) == f'parameters.{name}: got "{value}", expected {rest}.'


def test_all_that_is_wrong_is_said() -> None:
    declared = {"Size": {"Type": "Number"}, "Colour": {"Type": "String", "AllowedValues": ["red", "blue"]}}
    with pytest.raises(InfraError) as refused:
        check({"Size": "large", "Taste": "sour", "Colour": "Red"}, declared | {"OutsideEu": {"Type": "String"}})
    assert str(refused.value).split("\n") == [
        'parameters.Size: got "large", expected a number; correct it.',
        'parameters.Taste: got "sour", expected a parameter of the template: Colour, Size; '
        "take it out, or correct the name.",
        'parameters.Colour: got "Red", expected one of red, blue; correct it.',
    ]
