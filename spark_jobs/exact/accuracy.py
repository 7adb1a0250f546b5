"""Accuracy: how often answers were right, with the interval in which it is to be expected.

Photos of one group (see `spark_jobs.exact.twins`) are right or wrong together, so groups count for the interval, and
not photos.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

_Z = 1.959964  # 95% of a normal distribution lie within so many standard deviations


@dataclass(frozen=True)
class Judged:
    """Photos of one label and one group that were judged, and of how many the answer was right."""

    label: str
    photos: int
    right: int


@dataclass(frozen=True)
class Accuracy:
    """Share of right answers among the photos judged.

    Attributes
    ----------
    right, judged : int
        Photos.
    share, low, high : float or None
        The share, and its 95% interval; None where no photo was judged.
    """

    right: int = 0
    judged: int = 0
    share: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, groups: Iterable[Judged]) -> "Accuracy":
        """Sum groups up.

        The interval is Wilson's (1927), of as many independent photos as have the variance that the groups show (the
        ratio estimator's of cluster sampling; Cochran, Sampling Techniques, 3rd ed., eq. 6.9): n photos count n times
        where each is a group of its own, and less where groups are right or wrong as a whole. Where all answers are
        right, or none, the groups show no variance, and count once each.
        """
        groups = [group for group in groups if group.photos]
        if not groups:
            return cls()
        right, judged = sum(group.right for group in groups), sum(group.photos for group in groups)
        share, independent = right / judged, float(len(groups))
        if len(groups) > 1 and 0 < right < judged:
            squares = sum((group.right - share * group.photos) ** 2 for group in groups)
            variance = squares / judged**2
            independent = min(share * (1 - share) / variance, judged) if variance else judged
        low, high = _wilson(share, independent)
        return cls(right, judged, share, low, high)


def by_label(groups: Iterable[Judged]) -> dict[str, tuple[int, int]]:
    """Sum groups up for each label: {label: (right, judged)}; those that nothing was judged of are left out."""
    sums: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for group in groups:
        if group.photos:
            right, judged = sums[group.label]
            sums[group.label] = (right + group.right, judged + group.photos)
    return dict(sums)


def _wilson(share: float, n: float) -> tuple[float, float]:
    """Interval of a share of n independent trials, which need not be a whole number."""
    middle = share + _Z**2 / (2 * n)
    half = _Z * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max((middle - half) / (1 + _Z**2 / n), 0.0), min((middle + half) / (1 + _Z**2 / n), 1.0)
