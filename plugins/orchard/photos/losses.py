"""Losses: the guard against a listing, or a rule of labels, that would take much of the lake away by accident."""

from collections.abc import Sequence

import duckdb

from orchard.photos.label import LabelRule

MISSING_SHARE = 0.2  # of what the lake holds under a prefix: more missing than that is taken for an accident
MEANT = "say so: --mass-deletion-meant, or the Param mass_deletion_meant of the DAG."
# Of what the lake holds under a prefix: all, what is not there any more, and what loses its label.
_LOSSES = """
SELECT count(*), count(*) FILTER (l.uri IS NULL),
    count(*) FILTER (l.uri IS NOT NULL AND l.label IS NULL AND k.label IS NOT NULL)
FROM known k LEFT JOIN listed l ON l.uri = k.uri WHERE starts_with(k.uri, ?)
"""


class MassDeletionError(RuntimeError):
    """A run would take so much out of the lake, as gone or without a label, that it stops before anything is done."""


def check_losses(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str], rule: LabelRule) -> None:
    """Hold a listing against what the lake holds, both as `orchard.photos.discovery` loads them.

    Raises
    ------
    MassDeletionError
        More than `MISSING_SHARE` of the photos under one of the prefixes is gone, or loses its label.
    """
    for prefix in prefixes:
        ((known, missing, unlabelled),) = db.execute(_LOSSES, [prefix]).fetchall()
        if missing > MISSING_SHARE * known:
            raise MassDeletionError(
                f"{missing:,} of the {known:,} photos that the lake holds under {prefix} are not there any more: "
                f"more than {MISSING_SHARE:.0%}, so nothing is deleted and the run stops. If an upload or a mount "
                f"failed, mend it and run again; if they were meant to go, {MEANT}"
            )
        if unlabelled > MISSING_SHARE * known:
            raise MassDeletionError(
                f"{unlabelled:,} of the {known:,} photos that the lake holds under {prefix} would lose their label by "
                f"the rule {rule.text}: more than {MISSING_SHARE:.0%}, so their embeddings stay and the run stops. "
                f"Mend the rule (setting or option label), or list the folder above; if it is meant, {MEANT}"
            )
