"""Rejects: the photos of a run that could not be used, some of them with a picture, and how many for which reason."""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from botocore.exceptions import BotoCoreError, ClientError
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, EqualTo, In

from orchard.lake.rows import equal, rows
from orchard.report.thumbnails import MAX_BYTES, thumbnail

SHOWN = 24


@dataclass(frozen=True)
class Reject:
    """A photo that could not be used; `thumbnail` is a ``data:`` URI, or None where there is nothing to see."""

    uri: str
    label: str | None
    reason: str
    size: int | None
    thumbnail: str | None

    @property
    def suffix(self) -> str:
        _, dot, suffix = self.uri.rpartition("/")[2].rpartition(".")
        return suffix.upper()[:5] if dot else "?"


def read_rejects(
    catalog: Catalog, database: str, extractor_id: str, run_id: str, read: Callable[[str], bytes]
) -> tuple[tuple[Reject, ...], tuple[tuple[str, int], ...]]:
    """Read the rejects of a run.

    Returns
    -------
    shown : tuple of Reject
        At most `SHOWN`, a few of each reason.
    reasons : tuple of (str, int)
        How many photos were rejected for what, most first.
    """
    kinds: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    mine = equal(extractor_id=extractor_id, run_id=run_id)
    for reject in rows(catalog, database, "rejects", mine, "uri", "reason"):
        kinds[_kind(reject["reason"])].append((reject["reason"], reject["uri"]))
    counts = []
    for kind, photos in kinds.items():
        (first, _), same = photos[0], len({reason for reason, _ in photos}) == 1
        counts.append((first if same else kind, len(photos)))
    reasons = tuple(sorted(counts, key=lambda one: (-one[1], one[0])))
    ranks = zip_longest(*(sorted(photos) for photos in kinds.values()))
    chosen = sorted([one for rank in ranks for one in rank if one is not None][:SHOWN])
    if not chosen:
        return (), ()
    listed = And(EqualTo("run_id", run_id), In("uri", [uri for _, uri in chosen]))
    batch = {one["uri"]: one for one in rows(catalog, database, "batches", listed, "uri", "size", "label")}
    shown = []
    for reason, uri in chosen:
        found = batch.get(uri, {})
        size = found.get("size")
        shown.append(Reject(uri, found.get("label"), reason, size, _picture(uri, size, read)))
    return tuple(shown), reasons


def _kind(reason: str) -> str:
    """Take off a reason what differs from photo to photo."""
    return re.sub(r"\d[\d,.x]*", "…", re.split(r":| \(", reason, maxsplit=1)[0])


def _picture(uri: str, size: int | None, read: Callable[[str], bytes]) -> str | None:
    if size is None or size > MAX_BYTES:
        return None
    try:
        return thumbnail(read(uri.removeprefix("file://")))
    except (OSError, BotoCoreError, ClientError):  # gone, archived, not ours to read: the reason says so
        return None
