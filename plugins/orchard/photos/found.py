"""Found: what discovery says of what it found, and what that took."""

import time
from dataclasses import dataclass, field

from orchard.photos.label import PARENT
from orchard.photos.source import LISTING


@dataclass(frozen=True)
class Found:
    """What discovery found: the photos of the listing, and the batch.

    Attributes
    ----------
    listed : int
        All files of the listing. A run done again lists nothing: then it is `photos`.
    added, changed, deleted : int
        The batch.
    left : int
        Photos that are new or have changed, and were left for a later run. A run done again does not look for them: 0.
    relabelled : int
        Of the batch, too: photos whose label alone has changed, so that nothing is embedded.
    unlabelled, examples : int, tuple of str
        Photos of the listing without a label, and uris of the first. A run done again does not look for them, either.
    rule : str
        By which the labels were found.
    left_out : dict of str to int
        Files of the listing that are no photos by their names, by kind (`orchard.photos.sieve`).
    notes : tuple of str
        What else a person should know of the listing (`orchard.photos.notes`). A run done again has none.
    requests : dict of str to int
        How often S3 was asked, by the kind of request.
    seconds : dict of str to float
        What each phase took: `known`, what the lake holds was read; `listing`; `comparing`. A run done again has none.
    source : str
        What was asked of what is there (`orchard.photos.source`).
    """

    listed: int
    added: int
    changed: int
    deleted: int
    left: int = 0
    relabelled: int = 0
    unlabelled: int = 0
    examples: tuple[str, ...] = ()
    rule: str = PARENT.text
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    requests: dict[str, int] = field(default_factory=dict, compare=False)
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    source: str = field(default=LISTING, compare=False)

    @property
    def photos(self) -> int:
        """How many photos are to be embedded."""
        return self.added + self.changed

    @property
    def nothing(self) -> bool:
        return not (self.added or self.changed or self.deleted or self.relabelled)


class Clock:
    """Takes the time of one phase after another.

    Attributes
    ----------
    seconds : dict of str to float
        By phase.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    def stops(self, phase: str) -> None:
        """Say that a phase is over, and the next one begins."""
        now = time.monotonic()
        self.seconds[phase], self._began = now - self._began, now
