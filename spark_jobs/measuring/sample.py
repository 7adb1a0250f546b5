"""Samples: photos to measure an extractor by, a folder a label."""

from dataclasses import dataclass
from pathlib import Path

from spark_jobs.extractor.artefact import ExtractorError


@dataclass(frozen=True)
class Sample:
    """Photos to judge by, in the order of their paths."""

    files: tuple[Path, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> "Sample":
        """Find all files of a folder; a label is the folder that a file stands in.

        Raises
        ------
        ExtractorError
            If there are fewer than two labels.
        """
        files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
        labels = tuple(path.parent.name for path in files)
        if len(set(labels)) < 2:
            raise ExtractorError(
                f"Expected photos of two labels or more in {folder}, a folder a label; got {len(files)} files of "
                f"{len(set(labels))} labels"
            )
        return cls(files, labels)

    def some(self, count: int) -> "Sample":
        """Take so many of them at most, evenly over their order."""
        step = max(len(self.files) // count, 1)
        return Sample(self.files[::step][:count], self.labels[::step][:count])
