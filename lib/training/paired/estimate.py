"""Estimates means, their differences and shares, with their errors and 95 % intervals. Pure.

Rows of one subject resemble each other, so they count as one cluster: the errors are those of
cluster sums, and with a row in each cluster the usual ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t  # type: ignore[import-untyped]  # it ships no types

from lib.training.evaluation import Integers

Numbers = npt.NDArray[np.float64]
Interval = tuple[float, float]

#: The level of all intervals, and the power with which a needed sample tells a difference.
LEVEL = 0.95
POWER = 0.80
_TWO_SIDED = 1 - (1 - LEVEL) / 2
_Z = float(norm.ppf(_TWO_SIDED))
# A larger sample than this is none that anybody has.
_MOST_ROWS = 1e12


@dataclass(frozen=True)
class Estimate:
    """A mean over rows, or the difference of two means, with its error.

    Attributes:
        mean: the estimated value.
        error: the standard error of the value; infinite if fewer than two clusters tell.
        degrees: the degrees of freedom of the error, for the interval.
    """

    mean: float
    error: float
    degrees: float = field(default=math.inf, compare=False)

    @property
    def is_within_error(self) -> bool:
        """Whether the value is at most one standard error above zero."""
        return self.mean <= self.error

    @property
    def interval(self) -> Interval:
        """The 95 % interval, by Student's t."""
        if not math.isfinite(self.error):
            return -math.inf, math.inf
        half = float(t.ppf(_TWO_SIDED, self.degrees)) * self.error
        return self.mean - half, self.mean + half

    @property
    def is_told_from_zero(self) -> bool:
        """Whether the 95 % interval leaves zero out."""
        low, high = self.interval
        return low > 0 or high < 0

    def count_needed(self, rows: int) -> int | None:
        """Count the rows that would tell a value of this size from zero.

        Args:
            rows: the number of rows behind this estimate.

        Returns:
            The rows for a power of 80 % at a level of 5 %, two-sided, if the true value is the
            estimated one; None if the value is zero or so near to it that no sample would do.
        """
        if self.mean == 0 or not math.isfinite(self.error):
            return None
        quantiles = float(norm.ppf(_TWO_SIDED) + norm.ppf(POWER))
        needed = rows * (quantiles * self.error / self.mean) ** 2
        return math.ceil(needed) if needed <= _MOST_ROWS else None


@dataclass(frozen=True)
class Share:
    """A share of rows.

    Attributes:
        hits: the number of rows that count.
        rows: the number of all rows.
        low, high: the 95 % interval.
    """

    hits: int
    rows: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.hits / self.rows


def number_clusters(subjects: npt.ArrayLike) -> Integers:
    """Number the subjects of rows from 0: int64 [n_rows]."""
    _, codes = np.unique(np.asarray(subjects), return_inverse=True)
    return codes.astype(np.int64)


def sum_clusters(values: Numbers, clusters: Integers | None) -> Numbers:
    """Sum the values of each cluster: float64 [n_clusters]; the values themselves without any."""
    if clusters is None:
        return values
    sums: Numbers = np.bincount(clusters, weights=values).astype(np.float64)
    return sums


def estimate_mean(values: Numbers, clusters: Integers | None = None) -> Estimate:
    """Estimate the mean of rows.

    Args:
        values: float64 [n_rows], at least one.
        clusters: the cluster of each row, numbered from 0: int64 [n_rows]; None if each row is one
            of its own.
    """
    mean = float(np.mean(values))
    sums = sum_clusters(values - mean, clusters)
    groups = len(sums)
    if groups < 2:
        return Estimate(mean, math.inf)
    variance = groups / (groups - 1) * float(np.sum(sums**2)) / len(values) ** 2
    return Estimate(mean, math.sqrt(variance), groups - 1)


def subtract_unpaired(second: Estimate, first: Estimate) -> Estimate:
    """Estimate the difference of two means that come from different rows (Welch)."""
    variances = first.error**2, second.error**2
    total = sum(variances)
    if not math.isfinite(total):
        return Estimate(second.mean - first.mean, math.inf)
    each = zip(variances, (first.degrees, second.degrees), strict=True)
    parts = sum(variance**2 / degrees for variance, degrees in each)
    degrees = total**2 / parts if parts else math.inf
    return Estimate(second.mean - first.mean, math.sqrt(total), degrees)


def estimate_share(hits: npt.NDArray[np.bool_], clusters: Integers | None = None) -> Share:
    """Estimate a share with Wilson's interval.

    Rows of one cluster count as fewer rows, by as much as they enlarge the error of the share
    (the design effect); where all rows are equal, each cluster counts once.

    Args:
        hits: the rows that count, bool [n_rows], at least one.
        clusters: see :func:`estimate_mean`.
    """
    rows, count = len(hits), int(np.count_nonzero(hits))
    share, effective = count / rows, float(rows)
    if clusters is not None:
        groups = int(clusters.max()) + 1
        if 0 < count < rows and groups > 1:
            error = estimate_mean(hits.astype(np.float64), clusters).error
            variance = share * (1 - share) / (rows - 1)
            effective = min(effective, rows * variance / error**2) if error else effective
        else:
            effective = float(groups)
    low, high = compute_wilson(share, effective)
    return Share(count, rows, low, high)


def compute_wilson(share: float, rows: float) -> Interval:
    """Compute Wilson's 95 % interval of a share of so many independent rows."""
    square = _Z**2
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = math.sqrt(square * (share * (1 - share) / rows + square / (4 * rows**2)))
    half /= 1 + square / rows
    return max(0.0, middle - half), min(1.0, middle + half)
