"""Tells a leak from noise: the slope of what a process holds, robust against outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

# Pairs grow with the square; more points than this tell nothing new.
_MAX_POINTS = 200
_LEAST_POINTS = 8


@dataclass(frozen=True)
class Bound:
    """How much something may grow over the time that it was watched.

    Attributes:
        share: of its median.
        least: what is always allowed, in its own unit.
    """

    share: float
    least: float

    def limit(self, level: float) -> float:
        """The growth that is allowed at a level."""
        return max(self.share * level, self.least)


@dataclass(frozen=True)
class Growth:
    """What was seen of one quantity.

    Attributes:
        name: of the quantity.
        level: its median.
        peak: its maximum.
        slope_per_s: median of the slopes between all pairs of points (Theil and Sen); None where
            there are too few points to tell.
        duration_s: from the first point to the last.
        limit: what it may grow by in that time.
    """

    name: str
    level: float
    peak: float
    slope_per_s: float | None
    duration_s: float
    limit: float

    @property
    def growth(self) -> float:
        """What it grew by in the whole time; 0 where that is not known."""
        return 0.0 if self.slope_per_s is None else self.slope_per_s * self.duration_s

    @property
    def is_leak(self) -> bool:
        """Whether it grew by more than it may."""
        return self.growth > self.limit


def measure_growth(
    name: str, times_s: Sequence[float], values: Sequence[float], bound: Bound
) -> Growth:
    """Fit a line through a quantity over time.

    Args:
        name: of the quantity.
        times_s: ascending; the start of the process should be left out.
        values: one for each time.
        bound: what it may grow by.
    """
    step = max(len(values) // _MAX_POINTS, 1)
    points = list(zip(times_s, values, strict=True))
    thinned = points[::step]
    slope = None
    if len(thinned) >= _LEAST_POINTS:
        slope = median((w - v) / (t - s) for (s, v), (t, w) in combinations(thinned, 2) if t > s)
    level = median(values) if values else 0.0
    duration_s = times_s[-1] - times_s[0] if times_s else 0.0
    peak = max(values, default=0.0)
    return Growth(name, level, peak, slope, duration_s, bound.limit(level))
