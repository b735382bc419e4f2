"""Measures held-out probabilities: metrics, calibration, and the threshold of the prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold

from lib.errors import SourceError

FOLDS = 5

Integers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
Metrics = dict[str, dict[str, float]]

# Name → function of labels and probabilities of the positive class.
METRICS: dict[str, Callable[[Integers, Probabilities], float]] = {
    "roc_auc": roc_auc_score,
    "pr_auc": average_precision_score,
    "brier": brier_score_loss,
    "log_loss": log_loss,
}
# The threshold has two decimals, because the optimum is flat.
_THRESHOLDS = np.arange(1, 100) / 100
_GROUPS = 10
# The logarithm of the loss needs probabilities above 0; scikit-learn clips as near.
_LEAST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Costs:
    """The costs of mistakes, in any unit.

    Attributes:
        missed: the cost of a positive record that is predicted as negative.
        alarm: the cost of a negative record that is predicted as positive.
    """

    missed: float
    alarm: float


@dataclass(frozen=True)
class Threshold:
    """The probability from which the prediction is the positive label.

    Attributes:
        value: the threshold in [0, 1].
        f1: the F1 score at the threshold, over all held-out rows.
        costs: the costs of mistakes; None if the threshold has the best F1.
        cost_per_row: the mean cost of a row at the threshold; None without costs.
    """

    value: float
    f1: float
    costs: Costs | None = None
    cost_per_row: float | None = None

    def describe_rule(self) -> dict[str, Any]:
        """Describe the rule that chose the threshold, for the version's metadata."""
        if self.costs is None:
            return {"rule": "best F1"}
        return {"rule": "least cost", **vars(self.costs), "cost_per_row": self.cost_per_row}


@dataclass(frozen=True)
class Group:
    """Rows of neighbouring probabilities.

    Attributes:
        rows: the number of rows.
        mean: the mean probability.
        share: the share of positives.
    """

    rows: int
    mean: float
    share: float


def assign_folds(labels: Integers, seed: int) -> Integers:
    """Assign each row the fold that holds it out, from 0, with equal shares of positives.

    Raises:
        SourceError: a class has fewer rows than there are folds.
    """
    counts = np.bincount(labels, minlength=2)
    if counts.min() < FOLDS:
        raise SourceError(
            f"training data: found {counts[1]} rows of the positive label and {counts[0]} of the"
            f" negative one, expected at least {FOLDS} of each",
            hint="bring more data",
        )
    folds = np.empty(len(labels), dtype=np.int64)
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(labels, labels)):
        folds[held_out] = fold
    return folds


def measure(labels: Integers, probabilities: Probabilities, folds: Integers) -> Metrics:
    """Compute the mean and (sample) standard deviation of every metric over the folds."""
    parts = [(labels[folds == fold], probabilities[folds == fold]) for fold in range(FOLDS)]
    values = {name: [float(metric(*part)) for part in parts] for name, metric in METRICS.items()}
    return {
        name: {"mean": float(np.mean(each)), "std": float(np.std(each, ddof=1))}
        for name, each in values.items()
    }


def compute_losses(labels: Integers, probabilities: Probabilities) -> Probabilities:
    """Compute each row's log loss, float64 [n_rows]; their mean is the metric ``log_loss``."""
    right = np.where(labels == 1, probabilities, 1.0 - probabilities)
    losses: Probabilities = -np.log(np.clip(right, _LEAST, 1.0))
    return losses


def group_rows(labels: Integers, probabilities: Probabilities) -> list[Group]:
    """Divide the rows by probability into ten groups of one size, the lowest first."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(_GROUPS, len(order)))
    return [
        Group(len(part), float(probabilities[part].mean()), float(labels[part].mean()))
        for part in parts
    ]


def measure_calibration(labels: Integers, probabilities: Probabilities) -> float:
    """Compute the expected calibration error over the groups of :func:`group_rows`.

    It is the mean distance, over the rows, of a group's mean probability from its share of
    positives.
    """
    groups = group_rows(labels, probabilities)
    distance = sum(group.rows * abs(group.mean - group.share) for group in groups)
    return float(distance / len(labels))


def choose_threshold(
    labels: Integers, probabilities: Probabilities, costs: Costs | None = None
) -> Threshold:
    """Choose the threshold with the best F1 score or, with costs, with the least cost.

    F1 suits unequal classes: with a threshold of 0.5 a model of rare events misses many of them.

    Args:
        labels: the labels, int64 [n_rows], 0 or 1.
        probabilities: float64 [n_rows] from models that have not seen the row.
        costs: the costs of mistakes; None for the best F1.
    """
    scores = [float(f1_score(labels, probabilities >= each)) for each in _THRESHOLDS]
    if costs is None:
        best = int(np.argmax(scores))
        return Threshold(float(_THRESHOLDS[best]), scores[best])
    expenses = [_measure_cost(labels, probabilities >= each, costs) for each in _THRESHOLDS]
    best = int(np.argmin(expenses))
    return Threshold(float(_THRESHOLDS[best]), scores[best], costs, expenses[best])


def _measure_cost(labels: Integers, predicted: npt.NDArray[np.bool_], costs: Costs) -> float:
    missed = np.mean((labels == 1) & ~predicted)
    alarms = np.mean((labels == 0) & predicted)
    return float(costs.missed * missed + costs.alarm * alarms)
