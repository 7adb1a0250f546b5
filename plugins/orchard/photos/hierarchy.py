"""Hierarchy: the rule that finds the parent of a label, such as the fruit of a variety.

The rule is `none`; a rule as labels have one (`parent/2`, a regular expression), for the same keys; or a CSV file with
two columns, label and parent. A label has one parent at most; one without is its own.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchard.photos.label import LabelError, LabelRule, one_spelling

NONE = "none"
_AUGMENTED = re.compile(r"[^/]\.augmented-[0-9]+\.[^./]+$")  # as spark_jobs/exact/augmented.py names them
EXPECTED = (
    "none, the name of a CSV file with the columns label and parent, or a rule as labels have one: parent/2, or a "
    "regular expression with a group"
)


class HierarchyError(ValueError):
    """A hierarchy that cannot be meant, or a file that is none."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"hierarchy {text!r}: {why}; expected {EXPECTED}.")
        self.why = why


@dataclass(frozen=True)
class Hierarchy:
    """How the parents of labels are found.

    Attributes
    ----------
    text : str
        As a person writes it; hierarchies of the same text are the same.
    rule : LabelRule or None
        What finds the parent in a photo's key; None for a file, and for `none`.
    """

    text: str
    rule: LabelRule | None = None

    @classmethod
    def parse(cls, text: str) -> "Hierarchy":
        """Read it; nothing is opened. A file on a disk is named by its whole path, wherever it is asked for again.

        Raises
        ------
        HierarchyError
        """
        if text == NONE:
            return cls(text)
        if _is_file(text):
            return cls(text if text.startswith("s3://") else str(Path(text.removeprefix("file://")).absolute()))
        try:
            rule = LabelRule.parse(text)
        except LabelError as error:
            raise HierarchyError(text, error.why) from error
        return cls(rule.text, rule)

    @property
    def file(self) -> str | None:
        """Name of the file; None for a rule."""
        return self.text if _is_file(self.text) else None

    def read_file(self, s3: Any = None) -> dict[str, str]:
        """Read {label: parent} from the file, on a disk or in S3 (with boto3's own client, unless one is given).

        Raises
        ------
        HierarchyError
            There is no such file, or it holds something else: with the line.
        """
        assert self.file is not None
        try:
            text = _read(self.file, s3).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise HierarchyError(self.text, f"the file is not UTF-8 ({error.reason})") from error
        parents: dict[str, str] = {}
        for number, row in enumerate(csv.reader(text.splitlines()), start=1):
            cells = [one_spelling(cell) for cell in row]
            heading = number == 1 and [cell and cell.casefold() for cell in cells] == ["label", "parent"]
            if heading or not any(cells):
                continue
            if len(cells) != 2 or not cells[0] or not cells[1]:
                raise HierarchyError(self.text, f"its line {number} is {','.join(row)!r}, not a label and its parent")
            if parents.setdefault(cells[0], cells[1]) != cells[1]:
                raise HierarchyError(
                    self.text, f"its line {number} gives {cells[0]!r} a second parent, {cells[1]!r} beside "
                    f"{parents[cells[0]]!r}",
                )  # fmt: skip
        return parents


class Seen:
    """The parents that a rule finds on the way through a listing.

    Those of photos that were taken: augmented ones may stand in a folder more, and are no reason to doubt a parent.
    """

    def __init__(self, hierarchy: LabelRule, label: LabelRule) -> None:
        self._hierarchy, self._label = hierarchy, label
        self._parents: dict[str, set[str | None]] = {}

    @property
    def rule(self) -> LabelRule:
        """The rule of labels, which sees each key."""
        return LabelRule(self._label.text, self._find)

    @property
    def labels(self) -> set[str]:
        """All labels of the listing."""
        return set(self._parents)

    @property
    def parents(self) -> dict[str, str]:
        """Give {label: parent} of the labels that have one."""
        only = {label: next(iter(found)) for label, found in self._parents.items() if len(found) == 1}
        return {label: parent for label, parent in only.items() if parent is not None}

    def notes(self) -> Iterable[str]:
        """Tell which labels stand under several parents, and so have none."""
        several = sorted(label for label, found in self._parents.items() if len(found) > 1)
        for label in several[:3]:
            names = " and ".join("no parent" if one is None else repr(one) for one in sorted(
                self._parents[label], key=lambda one: (one is None, one)))  # fmt: skip
            yield (
                f"Photos of the label {label!r} are under {names}: it has no parent until the rules of label and "
                "hierarchy tell them apart."
            )
        if len(several) > 3:
            yield f"{len(several) - 3:,} more labels are under several parents, and have none."

    def _find(self, key: str) -> str | None:
        label = self._label.find(key)
        if label is not None and not _AUGMENTED.search(key):
            found = self._parents.setdefault(label, set())
            if len(found) < 2:
                found.add(self._hierarchy.find(key))
        return label


def _is_file(text: str) -> bool:
    return text.lower().endswith(".csv")


def _read(name: str, s3: Any) -> bytes:
    if address := re.fullmatch(r"s3://([^/]+)/(.+)", name):
        import boto3
        from botocore.exceptions import ClientError

        client = s3 or boto3.client("s3")
        try:
            body: bytes = client.get_object(Bucket=address[1], Key=address[2])["Body"].read()
        except ClientError as error:
            raise HierarchyError(name, f"it cannot be read ({error})") from error
        return body
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise HierarchyError(name, f"it cannot be read ({error.strerror})") from error
