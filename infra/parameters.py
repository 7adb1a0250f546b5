"""Parameters: values for a stack's parameters, judged by what its template says of them, before anything is made.

CloudFormation judges them, too, but only when extractor and wheels have been made. What it knows of accounts (whether a
VPC is there), and the template's Rules, are left to it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.errors import InfraError
from orchard.mistakes import Mistake, shown

DERIVED = ("Environment", "OutsideEu")  # they follow from the rest of an environment's file


def check(given: Mapping[str, str], declared: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what CloudFormation would refuse.

    Parameters
    ----------
    given : Mapping of str to str
        The values.
    declared : Mapping of str to Mapping
        ``Parameters`` of the template.

    Raises
    ------
    InfraError
        With all that is wrong: a name that the template does not have, or a value that it does not allow.
    """
    has = sorted(declared.keys() - set(DERIVED))
    wrong = []
    for name, value in given.items():
        if name not in has:
            expected, do = f"a parameter of the template: {', '.join(has)}", "take it out, or correct the name"
        elif expected := next(_expected(value, declared[name]), ""):
            what = declared[name].get("Description", "").strip().rstrip(".")
            do = f"correct it ({what})" if what else "correct it"
        if expected:
            wrong.append(str(Mistake(("parameters", name), shown(value), expected, do)))
    if wrong:
        raise InfraError("\n".join(wrong))


def _expected(value: str, declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is expected, and is not so."""
    if declared.get("Type") == "Number":
        low = declared.get("MinValue")
        number = re.fullmatch(r"-?\d+(\.\d+)?", value)
        if not number or (low is not None and float(value) < float(low)):
            yield "a number" if low is None else f"a number, no less than {low}"
    allowed = [str(one) for one in declared.get("AllowedValues", ())]
    if allowed and value not in allowed:
        yield f"one of {', '.join(allowed)}"
    pattern = declared.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        yield declared.get("ConstraintDescription", "").rstrip(".") or f"text that matches {pattern}"
