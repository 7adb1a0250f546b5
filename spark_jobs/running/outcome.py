"""Outcome: what a step leaves in the bucket for whoever waits for it, at once.

``steps/<run_id>/<step>.json`` holds what it did, ``steps/<run_id>/<step>.traceback`` why it failed: a cluster's own
logs reach the bucket minutes later.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import obstore

from spark_jobs.running.conflict import conflict
from spark_jobs.running.objects import open_root

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LOG = logging.getLogger("outcome")


class Outcome:
    """The two files of one step of one run."""

    def __init__(self, root: str, run_id: str, step: str) -> None:
        self._store = open_root(root)
        self._path = f"steps/{run_id}/{step}"

    @contextmanager
    def told(self, *refusals: type[Exception]) -> Iterator["Outcome"]:
        """Take away what an earlier try left; leave the traceback of an error, which goes on its way.

        Of a conflict with another run a sentence is enough, and of `refusals`, which say what cannot be as it was asked
        for: with them the process ends with status 2.
        """
        for path in (f"{self._path}.json", f"{self._path}.traceback"):
            with suppress(FileNotFoundError):
                obstore.delete(self._store, path)
        try:
            yield self
        except BaseException as error:
            refused = isinstance(error, refusals)
            said = str(error) if refused else conflict(error)
            if not isinstance(error, SystemExit) or error.code:
                try:
                    left = said or traceback.format_exc()
                    obstore.put(self._store, f"{self._path}.traceback", left.encode())
                except Exception:  # what failed first is what must be seen
                    _LOG.exception("The traceback could not be left at %s.", self._path)
            if refused:
                print(f"error: {said}", file=sys.stderr)
                raise SystemExit(2) from None
            if said:
                raise SystemExit(said) from None
            raise

    def succeeded(self, did: "DataclassInstance") -> None:
        """Leave what the step did, as its last act."""
        fields: dict[str, Any] = asdict(did)
        obstore.put(self._store, f"{self._path}.json", json.dumps(fields).encode())
