"""Losses: the guard against a listing, or a rule of labels, that would take much of the lake away by accident."""

from collections.abc import Sequence

import duckdb

from orchard.photos.label import LabelRule

MISSING_SHARE = 0.2  # of what the lake holds under a prefix: more missing than that is taken for an accident
MEANT = "say so: --mass-deletion-meant, or the Param mass_deletion_meant of the DAG."
_KNOWN = "SELECT count(*) FROM known WHERE starts_with(uri, ?)"
# What is not there any more, and what loses its label.
_LOSSES = """
SELECT count(*) FILTER (action = 'delete'),
    count(*) FILTER (action <> 'delete' AND label IS NULL AND known_label IS NOT NULL)
FROM differences WHERE starts_with(uri, ?)
"""


class MassDeletionError(RuntimeError):
    """A run would take so much out of the lake, as gone or without a label, that it stops before anything is done."""


def check_losses(db: duckdb.DuckDBPyConnection, prefixes: Sequence[str], rule: LabelRule) -> None:
    """Hold what a listing lacks against what the lake holds, as `orchard.photos.comparison` finds it.

    Raises
    ------
    MassDeletionError
        More than `MISSING_SHARE` of the photos under one of the prefixes is gone, or loses its label.
    """
    for prefix in prefixes:
        ((known,),) = db.execute(_KNOWN, [prefix]).fetchall()
        ((missing, unlabelled),) = db.execute(_LOSSES, [prefix]).fetchall()
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
