"""Lists that come in pages."""

import base64
import json
from collections.abc import Iterable
from operator import itemgetter
from typing import Any, TypeVar

from local.emr.errors import invalid

PAGE = 50
T = TypeVar("T")
Place = int | tuple[float, str]  # where an item stands among all that there ever are


def page(items: Iterable[tuple[Place, T]], marker: str | None, size: int = PAGE) -> tuple[list[T], str | None]:
    """Cut the page that a marker names; give the next one's, None at the end.

    A marker holds the place of the last item given, and no count: whatever begins or ends between two pages, or comes
    to pass the filter no more, hides none of the others.

    Parameters
    ----------
    items : iterable of (place, item)
        The page has them in the order of their places.
    """
    ordered = sorted(items, key=itemgetter(0))
    if marker is not None:
        try:
            last: Any = json.loads(base64.urlsafe_b64decode(marker.encode()))
            last = tuple(last) if isinstance(last, list) else last
            ordered = [each for each in ordered if each[0] > last]
        except (ValueError, TypeError):
            raise invalid(f"Marker '{marker}' is not valid.") from None
    more = len(ordered) > size
    part = [item for _, item in ordered[:size]]
    return part, base64.urlsafe_b64encode(json.dumps(ordered[size - 1][0]).encode()).decode() if more else None
