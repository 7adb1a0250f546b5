"""Source: where discovery learns what is in a bucket: from S3, or from what AWS has written down about it.

`listing` asks S3 for all keys. S3 Inventory and S3 Metadata cost few requests, whatever the bucket holds, but they lag:
what is gone, changed or new by them is asked of S3 (`confirmation`), and what is newer than they are waits. Every so
many days all is listed nevertheless, so that whatever they missed is found in the end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a setting is read where a DAG is drawn, which loads little
    from pyiceberg.catalog import Catalog

    from orchard.lake.watermark import Watermark

LISTING = "listing"
PATTERN = r"^listing$|^s3://[a-z0-9.-]{3,63}/.+|^arn:aws[a-z-]*:s3tables:[a-z0-9-]+:[0-9]{12}:bucket/[a-z0-9-]+$"
EXPECTED = (
    "listing, the folder of an S3 Inventory (s3://bucket/prefix/photos-bucket/config-ID), or the table bucket of S3 "
    "Metadata (arn:aws:s3tables:region:account:bucket/aws-s3)"
)
_KEPT = timedelta(days=6)  # what happened before may have left the journal, which keeps a week at least


class SourceError(ValueError):
    """A source that cannot be meant, or is of another bucket."""


@dataclass(frozen=True)
class Source:
    """Where discovery looks.

    Attributes
    ----------
    text : str
        See `EXPECTED`.
    full_listing_days : float
        After so many days all is listed, whatever the source.
    tables : callable, optional
        Opens the catalog of a table bucket, by its ARN.
    """

    text: str = LISTING
    full_listing_days: float = 7
    tables: Callable[[str], "Catalog"] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not re.match(PATTERN, self.text):
            raise SourceError(f"source {self.text!r}: expected {EXPECTED}.")

    @property
    def lags(self) -> bool:
        return self.text != LISTING

    def of_metadata(self) -> bool:
        return self.text.startswith("arn:")

    def listing_due(self, mark: "Watermark | None", now: datetime) -> bool:
        """Whether all is to be listed now; without a mark the days begin."""
        since = mark.listed_at if mark else now
        return not self.lags or now - since >= timedelta(days=self.full_listing_days)

    def since(self, mark: "Watermark | None", now: datetime) -> datetime | None:
        """Since when events are to be read; None where they would not do, and everything is to be."""
        return mark.since if mark and mark.since and now - mark.since < _KEPT else None
