"""Errors: the one exception of this package; its message is all that a person gets to see."""


class InfraError(RuntimeError):
    """A deployment cannot go on: what was found, what was expected, and what to do."""
