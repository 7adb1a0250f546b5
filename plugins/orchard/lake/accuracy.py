"""Accuracy: the columns of `runs` that say how often photos were recognised, and the sentences that say it to people.

`accuracy_before` is of the recogniser before the run, on the run's photos, which it has never seen; `accuracy_folds` is
of a cross-validation of the run's photos that keeps near twins together. `..._parent` is how often the label's parent
was right. `spark_jobs.tables.recognisers` judges.
"""

from collections.abc import Mapping, Sequence
from typing import Any

KINDS = ("accuracy_before", "accuracy_folds")
# Of the labels themselves, and of their parents in the lake's hierarchy; with their 95% intervals.
SHARES = tuple(f"{kind}{of}{end}" for of in ("", "_parent") for kind in KINDS for end in ("", "_low", "_high"))
COUNTS = (*(f"{kind}_photos" for kind in KINDS), "near_twins", "augmented")
FEW = 100  # photos, of which a share is told as a count

_WHO = {
    "accuracy_before": "the recogniser before this run",
    "accuracy_folds": "recognisers without a photo and its near twins",
}


def columns(reduced: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Take the columns from what step 2 says that it did (`spark_jobs.reduce_embeddings.Reduced`, as a mapping)."""
    row: dict[str, float | int | None] = {count: reduced.get(count) for count in ("near_twins", "augmented")}
    for kind in KINDS:
        for name in (kind, f"{kind}_parent"):
            of = reduced.get(name) or {}
            row |= {name: of.get("share"), f"{name}_low": of.get("low"), f"{name}_high": of.get("high")}
        row[f"{kind}_photos"] = (reduced.get(kind) or {}).get("judged")
    return row


def share(row: Mapping[str, Any], kind: str) -> str | None:
    """Say a share, ``69.5%``, of few photos ``3 of 4``; None where nothing was judged.

    `kind` is one of `KINDS`, or such a one's ``_parent``.
    """
    part, photos = row.get(kind), row[f"{kind.removesuffix('_parent')}_photos"] or 0
    if part is None or not photos:
        return None
    if photos < FEW:
        return f"{round(part * photos)} of {photos}"
    return f"{min(part, 0.999) if part < 1 else part:.1%}"  # what is not quite all is never rounded up to 100%


def figure(row: Mapping[str, Any], kind: str) -> str | None:
    """Say a share with its 95% interval, ``69.5% (66% to 73%)``."""
    said = share(row, kind)
    return said and f"{said} ({row[f'{kind}_low']:.0%} to {row[f'{kind}_high']:.0%})"


def told(row: Mapping[str, Any], worst: Sequence[str] = ()) -> list[str]:
    """Say of a row of `runs` how often photos were recognised; nothing where it means nothing."""
    lines = []
    for kind in KINDS:
        if said := figure(row, kind):
            photos = row[f"{kind}_photos"]
            of = "" if photos < FEW else f" of {photos:,}"
            parent = figure(row, f"{kind}_parent")
            lines.append(
                f"{_WHO[kind]}: right about {said}{of} of this run's photos"
                + (f"; about the parent of {parent}" if parent else "")
            )
    if lines and row["near_twins"]:
        lines.append(f"{row['near_twins']:,} of this run's photos have a near twin in the lake")
    if row.get("augmented"):
        lines.append(f"{row['augmented']:,} augmented photos of this run were learnt from, and not judged")
    if lines and worst:
        lines.append(f"recognised least: {', '.join(worst)}")
    return lines
