"""Numbers: options that are one, between two ends beyond which it would be a slip."""

import argparse
from collections.abc import Callable
from contextlib import suppress


def whole(least: int, most: int) -> Callable[[str], int]:
    """Read a whole number between two ends, both included."""

    def read(text: str) -> int:
        # A long one is not even counted: Python refuses to.
        if text.isdecimal() and len(text.lstrip("0")) <= len(str(most)) and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most:,}, got {text!r}")

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Read a number between two ends, both included."""

    def read(text: str) -> float:
        with suppress(ValueError):
            if least <= (found := float(text)) <= most:
                return found
        raise argparse.ArgumentTypeError(f"expected a number from {least:g} to {most:,.0f}, got {text!r}")

    return read
