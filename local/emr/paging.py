"""Lists that come in pages."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from local.emr.errors import invalid

PAGE = 50
T = TypeVar("T")


def page(items: Sequence[T], marker: str | None, size: int = PAGE) -> tuple[Sequence[T], str | None]:
    """Cut the page that a marker names; give the next one's, None at the end."""
    start = 0
    if marker is not None:
        try:
            start = int(base64.urlsafe_b64decode(marker.encode()))
        except (ValueError, binascii.Error):
            raise invalid(f"Marker '{marker}' is not valid.") from None
    more = start + size < len(items)
    return items[start : start + size], base64.urlsafe_b64encode(str(start + size).encode()).decode() if more else None
