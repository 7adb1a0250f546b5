"""Unmade: what a step could not make beside its tables, told instead of failing the run.

For pictures, exports and the like, which the next run makes again. Not for tables: without them a run has failed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger("unmade")
_LONGEST = 300  # of what an error says: some quote all that they were given


class Unmade(list[str]):
    """What could not be made, and why, a line each."""

    @contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """Log and keep an error, whatever it is, and go on."""
        try:
            yield
        except Exception as error:  # of any library: the tables are right already
            _LOG.exception("Not made: %s. The tables are right; the next run makes it again.", what)
            said = " ".join(f"{type(error).__name__}: {error}".split())
            self.append(f"{what}: {said if len(said) <= _LONGEST else said[:_LONGEST] + '…'}")
