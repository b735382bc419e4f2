"""Estimates percentiles from the classes of a histogram, as Prometheus does. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def find_percentile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Estimate the value below which a share of all values lies.

    Values count as spread evenly over their class. Those of the last class, which has no upper
    bound, count as the highest bound, so the estimate is too low then.

    Args:
        counts: the number of values in each class.
        bounds: the upper bounds of all classes but the last, ascending.
        share: a share between 0 and 1, like 0.99.

    Returns:
        The estimate; None if there are no values.
    """
    total = sum(counts)
    if total <= 0:
        return None
    rank, below = share * total, 0
    for number, (count, upper) in enumerate(zip(counts, bounds, strict=False)):
        if count and below + count >= rank:
            lower = bounds[number - 1] if number else 0.0
            return lower + (upper - lower) * (rank - below) / count
        below += count
    return bounds[-1]
