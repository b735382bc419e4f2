"""Tell a leak from noise by a robust slope of what a process holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

# The number of pairs grows with the square of the points; more points than this show nothing new.
_MAX_POINTS = 200
_LEAST_POINTS = 8


@dataclass(frozen=True)
class Bound:
    """The growth that a quantity may show over the time for which it was watched.

    Attributes:
        share: allowed share of the quantity's median.
        least: growth that is always allowed, in the quantity's unit.
    """

    share: float
    least: float

    def limit(self, level: float) -> float:
        """Return the growth that is allowed at a level."""
        return max(self.share * level, self.least)


@dataclass(frozen=True)
class Growth:
    """The growth of one quantity.

    Attributes:
        name: name of the quantity.
        level: median of the quantity.
        peak: maximum of the quantity.
        slope_per_s: median of the slopes between all pairs of points (Theil and Sen); None where
            there are too few points to tell.
        duration_s: time from the first point to the last.
        limit: allowed growth in that time.
    """

    name: str
    level: float
    peak: float
    slope_per_s: float | None
    duration_s: float
    limit: float

    @property
    def growth(self) -> float:
        """Growth over the whole time; 0 where it is not known."""
        return 0.0 if self.slope_per_s is None else self.slope_per_s * self.duration_s

    @property
    def is_leak(self) -> bool:
        """Whether the quantity grew by more than it may."""
        return self.growth > self.limit


def measure_growth(
    name: str, times_s: Sequence[float], values: Sequence[float], bound: Bound
) -> Growth:
    """Fit a line through a quantity over time.

    Args:
        name: name of the quantity.
        times_s: ascending times, best without the start of the process.
        values: values of the quantity, one for each time.
        bound: bound of the allowed growth.
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
