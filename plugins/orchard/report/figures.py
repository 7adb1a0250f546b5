"""Figures: numbers, times and texts as people read them, and the points of a small curve.

For pages. What programs read keeps its full precision.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

NONE = "–"  # noqa: RUF001


def count(number: float | None) -> str:
    return NONE if number is None else f"{number:,.0f}"


def seconds(duration: float | None) -> str:
    """Write 12.3 s, 4 min 10 s, 2 h 05 min."""
    if duration is None:
        return NONE
    if round(duration, 1) < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def dollars(amount: float | None) -> str:
    """Write $1,234.50; of less than ten cents two digits that count."""
    if amount is None:
        return NONE
    if 0 < amount < 0.0001:
        return "< $0.0001"
    return f"${amount:,.2f}" if amount == 0 or amount >= 0.1 else f"${amount:.{3 if amount >= 0.01 else 4}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share; what is not quite all is never rounded up to 100%."""
    if share is None:
        return NONE
    return f"{min(share, 1 - 10.0 ** -(digits + 2)) if 0 < share < 1 else share:.{digits}%}"


def size(length: int | None) -> str:
    if length is None:
        return NONE
    if length < 1000:
        return f"{length} B"
    return f"{length / 1e3:,.0f} kB" if length < 1e6 else f"{length / 1e6:,.1f} MB"


def when(moment: datetime | None) -> str:
    if moment is None:
        return NONE
    return f"{moment.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def visible(value: Any) -> Any:
    """Show characters that have no look of their own (line ends, marks of direction, half a surrogate) by escapes.

    A name may hold any of them. As they are they would hide what the name is, or could not be written at all.
    """
    if value is None:
        return NONE
    if type(value) is not str or value.isprintable():
        return value
    return "".join(c if c.isprintable() or c == "\u200d" else c.encode("unicode_escape").decode() for c in value)


def curve(values: Sequence[float | None], width: float, height: float) -> list[list[tuple[float, float]]]:
    """Place values, evenly from left to right and the largest on top, as points of a curve.

    Returns
    -------
    list of list of tuple (x, y)
        Its pieces: it is interrupted where there is no value.
    """
    there = [value for value in values if value is not None]
    if not there:
        return []
    low, span = min(there), max(there) - min(there)
    pieces: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            pieces.append([])
            continue
        x = width * (number / (len(values) - 1) if len(values) > 1 else 1)
        y = height * (1 - (value - low) / span) if span else height / 2
        pieces[-1].append((round(x, 1), round(y, 1)))
    return [piece for piece in pieces if piece]
