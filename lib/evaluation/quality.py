"""Measures probabilities against outcomes, from counts, with 95 % intervals. Pure.

A subject may have several predictions, and all of them share its fate, so rows are not
independent. Each subject therefore belongs to one of :data:`GROUPS` groups, and the intervals come
from leaving out one group after the other: the delete-a-group jackknife (Kott, 2001, Journal of
Official Statistics 17), which needs neither a distribution nor independent rows. Shares get
Wilson's interval for as many independent rows as the jackknife says that they are worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student  # type: ignore[import-untyped]  # it ships no types

from lib.record.prediction import MILLION
from lib.training.paired.estimate import compute_wilson
from lib.training.paired.quality import LEAST_OF_A_CLASS, LEAST_ROWS

#: The groups of subjects that are left out one after the other.
GROUPS = 20
_DECILES = 10
_CONFIDENCE = 0.95

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Rows with an outcome, counted by probability and group.

    Attributes:
        millionths: the probability in millionths, int64 [n].
        groups: the number of the group in [0, GROUPS), int64 [n].
        positives, negatives: the number of rows with either outcome, int64 [n].
    """

    millionths: Integers
    groups: Integers
    positives: Integers
    negatives: Integers


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, whose ends are None where there are too few rows for one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Decile:
    """A tenth of the rows, by probability.

    Attributes:
        rows: the number of rows; a fraction where the limit divides rows of one probability.
        mean: the mean probability.
        share: the share of positives.
        lift: the share of positives, divided by that of all rows.
    """

    rows: float
    mean: float
    share: Estimate
    lift: Estimate


@dataclass(frozen=True)
class Quality:
    """The quality of the predictions of one part of the table.

    Attributes:
        rows: the number of rows with an outcome.
        positives: the number of those whose outcome is the positive label.
        mean: the mean probability; None without rows.
        share: the share of positives; None without rows.
        roc_auc: the area under the ROC curve; None if there are too few rows.
        brier: the Brier score; None if there are too few rows.
        calibration_error: the expected calibration error over the deciles; None if too few.
        deciles: ten groups of one size, the lowest probabilities first; empty if too few.
    """

    rows: int
    positives: int
    mean: float | None = None
    share: Estimate | None = None
    roc_auc: Estimate | None = None
    brier: Estimate | None = None
    calibration_error: Estimate | None = None
    deciles: tuple[Decile, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether there are rows enough for more than a share."""
        return self.roc_auc is not None


def measure(counts: Counts) -> Quality:
    """Measure the rows that were counted."""
    table = _Table(counts)
    positives, negatives = int(table.positives.sum()), int(table.negatives.sum())
    rows = positives + negatives
    if rows == 0:
        return Quality(0, 0)
    whole = _Sums(table.values, table.positives, table.negatives)
    share = table.estimate_shares(lambda it: np.array([it.share]), np.array([rows]))[0]
    if rows < LEAST_ROWS or min(positives, negatives) < LEAST_OF_A_CLASS:
        return Quality(rows, positives, whole.mean, share)
    roc_auc, brier, error = table.estimate(
        lambda it: np.array([it.roc_auc, it.brier, it.calibration_error])
    )
    tenths = whole.deciles
    shares = table.estimate_shares(lambda it: it.deciles.shares, tenths.rows)
    lifts = table.estimate(lambda it: it.deciles.shares / it.share)
    deciles = tuple(
        Decile(float(number), float(mean), share_of, _clip(lift, math.inf))
        for number, mean, share_of, lift in zip(
            tenths.rows, tenths.means, shares, lifts, strict=True
        )
    )
    return Quality(
        rows, positives, whole.mean, share, _clip(roc_auc), _clip(brier), _clip(error), deciles
    )


@dataclass(frozen=True)
class _Deciles:
    rows: Floats
    means: Floats
    shares: Floats


@dataclass(frozen=True)
class _Sums:
    """Positives and negatives by ascending probability, float64 or int64 [n_values]."""

    values: Floats
    positives: Integers
    negatives: Integers

    @property
    def rows(self) -> int:
        return int(self.positives.sum() + self.negatives.sum())

    @property
    def share(self) -> float:
        return float(self.positives.sum() / self.rows)

    @property
    def mean(self) -> float:
        return float(np.dot(self.values, self.positives + self.negatives) / self.rows)

    @property
    def roc_auc(self) -> float:
        """The share of pairs that are in the right order; equal probabilities count as half."""
        before = np.cumsum(self.negatives) - self.negatives
        pairs = np.dot(self.positives.astype(np.float64), before + self.negatives / 2)
        return float(pairs / (float(self.positives.sum()) * float(self.negatives.sum())))

    @property
    def brier(self) -> float:
        missed = np.dot(self.positives, (1 - self.values) ** 2)
        return float((missed + np.dot(self.negatives, self.values**2)) / self.rows)

    @property
    def deciles(self) -> _Deciles:
        """Ten groups of one size; rows of one probability are divided in proportion."""
        rows = self.positives + self.negatives
        ends = np.concatenate([[0], np.cumsum(rows)])
        cuts = np.linspace(0, self.rows, _DECILES + 1)
        numbers, positives, sums = (
            np.diff(np.interp(cuts, ends, np.concatenate([[0], np.cumsum(each)])))
            for each in (rows, self.positives, self.values * rows)
        )
        return _Deciles(numbers, sums / numbers, positives / numbers)

    @property
    def calibration_error(self) -> float:
        tenths = self.deciles
        return float(np.dot(tenths.rows, np.abs(tenths.means - tenths.shares)) / self.rows)


class _Table:
    """The counts by probability, of which one group of subjects can be left out.

    Args:
        counts: the counts in any order.
    """

    def __init__(self, counts: Counts) -> None:
        millionths, self._places = np.unique(counts.millionths, return_inverse=True)
        self._counts = counts
        self.values: Floats = millionths / MILLION
        self.positives = self._add_up(counts.positives)
        self.negatives = self._add_up(counts.negatives)
        present = np.unique(counts.groups)
        self._parts = [self._without(group) for group in present] if len(present) > 1 else []

    def estimate(self, figures: Callable[[_Sums], Floats]) -> list[Estimate]:
        """Compute figures, float64 [k], and their intervals by the jackknife."""
        values, errors = self._compute(figures)
        if errors is None:
            return [Estimate(float(value)) for value in values]
        reach = _quantile(len(self._parts) - 1) * errors
        ends = zip(values, values - reach, values + reach, strict=True)
        return [Estimate(float(it), float(low), float(high)) for it, low, high in ends]

    def estimate_shares(self, shares: Callable[[_Sums], Floats], rows: Floats) -> list[Estimate]:
        """Compute shares, float64 [k], of so many rows each, and Wilson's intervals of them."""
        values, errors = self._compute(shares)
        if errors is None:
            return [Estimate(float(value)) for value in values]
        return [
            _build_wilson(float(value), float(error), float(number))
            for value, error, number in zip(values, errors, rows, strict=True)
        ]

    def _compute(self, figures: Callable[[_Sums], Floats]) -> tuple[Floats, Floats | None]:
        """Compute figures and their standard errors, which are None for a single group."""
        whole = figures(_Sums(self.values, self.positives, self.negatives))
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = [figures(part) for part in self._parts]
        if not parts or not all(np.isfinite(part).all() for part in parts):
            return whole, None
        count, deviations = len(parts), np.array(parts) - np.mean(parts, axis=0)
        return whole, np.sqrt((count - 1) / count * np.sum(deviations**2, axis=0))

    def _without(self, group: int) -> _Sums:
        is_in = self._counts.groups == group
        positives = self.positives - self._add_up(self._counts.positives, is_in)
        negatives = self.negatives - self._add_up(self._counts.negatives, is_in)
        return _Sums(self.values, positives, negatives)

    def _add_up(self, numbers: Integers, chosen: npt.NDArray[np.bool_] | None = None) -> Integers:
        is_in = slice(None) if chosen is None else chosen
        sums = np.bincount(self._places[is_in], numbers[is_in], len(self.values))
        return sums.astype(np.int64)


@lru_cache(maxsize=GROUPS)
def _quantile(degrees: int) -> float:
    return float(student.ppf((1 + _CONFIDENCE) / 2, degrees))


def _build_wilson(share: float, error: float, rows: float) -> Estimate:
    """Build Wilson's interval; rows that share a fate are worth fewer independent ones."""
    spread = share * (1 - share)
    worth = min(rows, spread / error**2) if spread > 0 and error > 0 else rows
    return Estimate(share, *compute_wilson(share, worth))


def _clip(estimate: Estimate, most: float = 1.0) -> Estimate:
    """Keep the ends of an interval between 0 and the largest value that the figure can have."""
    if estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.value, max(0.0, estimate.low), min(most, estimate.high))
