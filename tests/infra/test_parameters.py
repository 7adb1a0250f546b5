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
    ("name", "value", "expected"),
    [
        (
            "AlarmMail", "nobody",
            r"text that matches ^(|[^@\s]+@[^@\s]+)$ "
            "(Who gets alarms and the budget's warnings by mail; empty for nobody yet)",
        ),
        ("WithStudio", "yes", "one of false, true (An EMR Studio to explore in)"),
        ("KeepLogsDays", "0", "a number, no less than 1 (For so many days clusters' logs are kept)"),
        ("KeepLogsDays", "nan", "a number, no less than 1 (For so many days clusters' logs are kept)"),
        ("KeepLogsDays", "", "a number, no less than 1 (For so many days clusters' logs are kept)"),
        (
            "VpcCidr", "10.0.0.0/8",
            "A block of /16 to /20 "
            "(The addresses of its own VPC, if it makes one; it is cut into two subnets of 2,048 addresses)",
        ),
        ("VpcId", "subnet-0a", "text that matches ^(|vpc-[0-9a-f]+)$ "
         "(An existing VPC; empty for one of its own, with private subnets and no way to the internet)"),
    ],
)  # fmt: skip
def test_what_it_does_not(name: str, value: str, expected: str) -> None:
    with pytest.raises(InfraError) as refused:
        check({**GOOD, name: value}, DECLARED)
    assert str(refused.value) == f'parameters: {name} = "{value}": expected {expected}.'


def test_all_that_is_wrong_is_said() -> None:
    declared = {"Size": {"Type": "Number"}, "Colour": {"Type": "String", "AllowedValues": ["red", "blue"]}}
    with pytest.raises(InfraError) as refused:
        check({"Size": "large", "Colour": "Red"}, declared)
    assert str(refused.value) == (
        'parameters: Size = "large": expected a number; parameters: Colour = "Red": expected one of red, blue.'
    )
    with pytest.raises(InfraError) as refused:
        check({"Taste": "sour", "OutsideEu": "true"}, {**declared, "OutsideEu": {"Type": "String"}})
    assert str(refused.value) == (
        "parameters.OutsideEu, Taste: the template has no such parameter; expected some of Colour, Size."
    )
