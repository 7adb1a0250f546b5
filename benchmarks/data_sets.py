"""Data sets: the real photos that accuracy is told on, each with photos to learn from and others to judge by."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.workload import ROOT
from spark_jobs.measuring.sample import Sample

DEFAULT = ROOT.parent / "shared" / "data"
# name: the folders of the photos to learn from and of those to judge by
_PARTS = {"fruits-360": ("Training", "Test"), "grocery-store": ("train", "val")}


@dataclass(frozen=True)
class DataSet:
    """Photos, one folder a label.

    Attributes
    ----------
    learnt : Sample
        Photos to learn from, and to judge by in folds.
    unseen : Sample
        Photos to judge by what was learnt from the others.
    """

    name: str
    learnt: Sample
    unseen: Sample


@cache
def data_sets(folder: Path) -> tuple[DataSet, ...]:
    """Find the data sets in a folder.

    Raises
    ------
    SystemExit
        It has not all of them.
    """
    parts = [folder / name / part for name, both in _PARTS.items() for part in both]
    if missing := [str(part) for part in parts if not part.is_dir()]:
        raise SystemExit(
            "Accuracy is told on real photos, one folder a label: those of Fruits-360 "
            "(github.com/Horea94/Fruit-Images-Dataset) and of GroceryStoreDataset "
            "(github.com/marcusklasson/GroceryStoreDataset). Not found: "
            f"{', '.join(missing)}. Say where they are: --data DIR, or make accuracy DATA=dir"
        )
    return tuple(
        DataSet(name, Sample.of(folder / name / learnt), Sample.of(folder / name / unseen))
        for name, (learnt, unseen) in _PARTS.items()
    )
