"""Changes: what a change set of CloudFormation would do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """What is to happen to one resource.

    Attributes
    ----------
    what : str
        add, change, replace, perhaps replace, remove.
    names : tuple of str
        Of the properties and other parts that change.
    """

    what: str
    resource: str
    type: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f"  ({', '.join(self.names)})" if self.names else ""
        return f"{self.what:8} {self.resource}  {self.type}{names}"


@dataclass(frozen=True)
class Preview:
    """A change set that can be executed.

    Attributes
    ----------
    id : str or None
        None: nothing would change.
    stack : str
        The stack's id, by which it is known also when it is gone.
    """

    id: str | None
    stack: str
    new: bool
    changes: tuple[Change, ...] = ()


def read_change(given: Mapping[str, Any]) -> Change:
    """Read a ``ResourceChange``."""
    what = {"Add": "add", "Modify": "change", "Remove": "remove", "Import": "import"}.get(given["Action"], "?")
    replacement = given.get("Replacement")
    if what == "change" and replacement in ("True", "Conditional"):
        what = "replace" if replacement == "True" else "replace?"
    names = {
        one["Target"].get("Name") or one["Target"]["Attribute"] for one in given.get("Details", ()) if "Target" in one
    }
    return Change(what, given["LogicalResourceId"], given["ResourceType"], tuple(sorted(names)))
