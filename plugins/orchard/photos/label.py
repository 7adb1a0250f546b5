"""Label: the rule that finds a photo's label in its key.

A key is the path of the photo below its bucket, or below the folder of photos that was named, with slashes. The rule is
`parent` (the folder that the photo stands in), `parent/2` (the folder above that, and so on), or a regular expression
of Python's with a group, which is searched in the key. Nothing here reads a photo, or knows the lake.

Labels that look alike are one: a key is read in Unicode's composed form (NFC; a Mac's disks, and archives made there,
hold names decomposed), and blanks at a label's ends are cut off. The key of the photo stays as it is.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import groupby

_PARENT = re.compile(r"parent(?:/([0-9]{1,3}))?")
_MEANT = re.compile(r"\s*parent(?![a-z])", re.IGNORECASE)  # as a regular expression, it has no group
EXPECTED = (
    "parent, parent/2 (or another number of levels up, from 1), or a regular expression with a group, such as "
    "([^/_]+)_[^/]*$"
)


class LabelError(ValueError):
    """A rule that cannot be meant.

    Attributes
    ----------
    why : str
        What is wrong with it.
    """

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(f"label {rule!r}: {why}; expected {EXPECTED}.")
        self.why = why


@dataclass(frozen=True)
class LabelRule:
    """How labels are found.

    Attributes
    ----------
    text : str
        The rule as a person writes it; rules of the same text are the same.
    find : callable
        Gives the label of a key; None where it has none. A label is never empty, has no blanks at its ends, is NFC,
        and may hold slashes.
    """

    text: str
    find: Callable[[str], str | None] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> "LabelRule":
        """Read a rule; of a regular expression the group ``label`` counts, else the first that took part.

        Raises
        ------
        LabelError
            With what it got, and what it expected.
        """
        if parent := _PARENT.fullmatch(text):
            levels = int(parent[1] or 1)
            if not levels:
                raise LabelError(text, "levels are counted from 1")
            return cls("parent" if levels == 1 else f"parent/{levels}", partial(_parent, levels))
        try:
            pattern = re.compile(unicodedata.normalize("NFC", text))
        except (re.error, OverflowError, RecursionError) as error:  # the latter two of numbers and nesting too large
            raise LabelError(text, f"it is no regular expression ({error})") from error
        if not pattern.groups:
            if _MEANT.match(text):
                raise LabelError(text, "parent is in small letters, and nothing follows it but a slash and 1 to 999")
            raise LabelError(text, "it has no group to take the label from")
        return cls(text, partial(_group, pattern, "label" in pattern.groupindex))


def one_spelling(text: str) -> str | None:
    """Give a label in its one spelling; None for one of blanks alone."""
    return unicodedata.normalize("NFC", text).strip() or None


def _parent(levels: int, key: str) -> str | None:
    return _name(levels, key.rpartition("/")[0])


@lru_cache(10_000)  # many photos stand in a folder, and are listed one after another
def _name(levels: int, folder: str) -> str | None:
    """Name of a folder or one above it; empty and dot segments, which S3 allows, name none."""
    folders = [segment for segment in folder.split("/") if segment not in ("", ".", "..")]
    return one_spelling(folders[-levels]) if len(folders) >= levels else None


def _group(pattern: re.Pattern[str], named: bool, key: str) -> str | None:
    found = pattern.search(key if key.isascii() else unicodedata.normalize("NFC", key))
    if found is None:
        return None
    label = next(filter(None, [found["label"]] if named else found.groups()), None)
    return None if label is None else one_spelling(label)


PARENT = LabelRule.parse("parent")


def twins(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Find labels that differ only in case or in blanks, and so are probably meant to be one."""
    alike = sorted((_folded(label), label) for label in set(labels))
    groups = (tuple(label for _, label in group) for _, group in groupby(alike, key=lambda one: one[0]))
    return [group for group in groups if len(group) > 1]


def _folded(label: str) -> str:
    # NFKC makes one of all blanks, wide letters and the like; what has no width is of category Cf.
    text = "".join(unicodedata.normalize("NFKC", label).casefold().split())
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def without_label(photos: int, rule: str, examples: Sequence[str]) -> str:
    """Say how many photos of a listing got no label."""
    more = ", ..." if photos > len(examples) else ""
    return f"{photos:,} by the rule {rule}, such as {', '.join(examples)}{more}"
