"""Confirm: asking a person before something is changed."""

import sys

from infra.errors import InfraError


class Declined(Exception):
    """The answer was no."""


def confirm(question: str, yes: bool, expected: str = "y") -> None:
    """Ask, unless the answer was given on the command line.

    Raises
    ------
    Declined
        The answer was another than `expected`.
    InfraError
        There is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InfraError("Nobody can be asked here, so nothing more was done. To go on without: YES=1, which is --yes.")
    if input(f"{question} ").strip().lower() != expected:
        raise Declined
