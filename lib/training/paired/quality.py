"""Measures two models on labelled rows, with the difference of each metric. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.record.prediction import MILLION
from lib.training.evaluation import Integers, Probabilities, compute_losses
from lib.training.paired.estimate import Estimate, Numbers, estimate_mean, subtract_unpaired
from lib.training.paired.ranking import rank_rows

#: Labels are too few below so many rows, and so many of each class.
LEAST_ROWS = 100
LEAST_OF_A_CLASS = 10
#: A lower value is better of the other metrics.
HIGHER_IS_BETTER = ("roc_auc", "pr_auc")
# Probabilities are printed with six decimals: how near they are to 0 or 1 is not known beyond that.
_NEAREST = 0.5 / MILLION


@dataclass(frozen=True)
class Labelled:
    """Labelled rows that a model has scored.

    Attributes:
        labels: int64 [n_rows], 0 or 1.
        probabilities: float64 [n_rows] in [0, 1].
        clusters: the subject of each row, numbered from 0: int64 [n_rows].
    """

    labels: Integers
    probabilities: Probabilities
    clusters: Integers

    @property
    def positives(self) -> int:
        """The number of rows of the positive class."""
        return int(self.labels.sum())

    @property
    def is_too_few(self) -> bool:
        """Whether the rows are too few to say anything about a model."""
        rows = len(self.labels)
        return rows < LEAST_ROWS or min(self.positives, rows - self.positives) < LEAST_OF_A_CLASS


@dataclass(frozen=True)
class Measured:
    """A metric of two models.

    Attributes:
        name: the name of the metric, as in :data:`lib.training.evaluation.METRICS`.
        first, second: the metric of each.
        difference: the value of the second less the value of the first.
        rows: the number of rows behind the difference.
    """

    name: str
    first: Estimate
    second: Estimate
    difference: Estimate
    rows: int

    @property
    def needed(self) -> int | None:
        """The number of rows that would tell a difference of this size; None for no number."""
        return self.difference.count_needed(self.rows)

    @property
    def loss(self) -> float:
        """The amount by which the second model is worse; negative if it is better."""
        mean = self.difference.mean
        return -mean if self.name in HIGHER_IS_BETTER else mean


def measure_paired(first: Labelled, second: Labelled) -> list[Measured]:
    """Measure two models on the same rows: their labels and clusters are equal."""
    labels, clusters = first.labels, first.clusters
    before, after = first.probabilities, second.probabilities
    differences = {
        "roc_auc": rank_rows(labels, after).subtract(rank_rows(labels, before)).estimate(clusters),
        **{
            name: estimate_mean(compute(labels, after) - compute(labels, before), clusters)
            for name, compute in _LOSSES.items()
        },
    }
    each = measure(first), measure(second)
    return [
        Measured(name, each[0][name], each[1][name], difference, len(labels))
        for name, difference in differences.items()
    ]


def measure_unpaired(first: Labelled, second: Labelled) -> list[Measured]:
    """Measure two models, each on rows of its own."""
    each, rows = (measure(first), measure(second)), len(first.labels) + len(second.labels)
    return [
        Measured(name, one, each[1][name], subtract_unpaired(each[1][name], one), rows)
        for name, one in each[0].items()
    ]


def measure(rows: Labelled) -> dict[str, Estimate]:
    """Estimate metric → value for one model, as in :data:`lib.training.evaluation.METRICS`."""
    return {
        "roc_auc": rank_rows(rows.labels, rows.probabilities).estimate(rows.clusters),
        **{
            name: estimate_mean(compute(rows.labels, rows.probabilities), rows.clusters)
            for name, compute in _LOSSES.items()
        },
    }


def _square(labels: Integers, probabilities: Probabilities) -> Numbers:
    squares: Numbers = (probabilities - labels) ** 2
    return squares


def _compute_printed_losses(labels: Integers, probabilities: Probabilities) -> Numbers:
    return compute_losses(labels, np.clip(probabilities, _NEAREST, 1 - _NEAREST))


_LOSSES = {"brier": _square, "log_loss": _compute_printed_losses}
