"""Augmented photos, which are made of photos and not taken: their names say so, and what they are made of.

They are learnt from like others, and never judged: accuracy is told of what people photographed.
"""

import re

_NAME = re.compile(r"(.+)\.augmented-[0-9]+\.[^./]+", re.DOTALL)


def name(origin: str, number: int) -> str:
    """Name the augmented photo of that number, from 1, that is made of the photo of a name: both without folders."""
    return f"{origin}.augmented-{number}.jpg"


def origin(name: str) -> str | None:
    """Return the name of the photo that an augmented one is made of; None of one that was taken."""
    found = _NAME.fullmatch(name)
    return found and found[1]


def is_augmented(uri: str) -> bool:
    """Say whether a photo is augmented."""
    return origin(uri.rpartition("/")[2]) is not None
