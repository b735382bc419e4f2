"""Evaluates a model by stratified cross-validation, with the same folds for both engines."""

from __future__ import annotations

from collections.abc import Callable

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
from lib.record.contract import Contract
from lib.training.data import TrainingData
from lib.training.sklearn_pipeline import build_sklearn_pipeline

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


def cross_validate_sklearn(
    data: TrainingData, folds: Integers, contract: Contract
) -> Probabilities:
    """Score each row with the pipeline that has not seen its fold: float64 [n_rows]."""
    probabilities = np.empty(data.rows)
    for fold in range(FOLDS):
        held_out = folds == fold
        pipeline = build_sklearn_pipeline(contract)
        pipeline.fit(data.features[~held_out], data.labels[~held_out])
        probabilities[held_out] = pipeline.predict_proba(data.features[held_out])[:, 1]
    return probabilities


def measure(labels: Integers, probabilities: Probabilities, folds: Integers) -> Metrics:
    """Compute the mean and (sample) standard deviation of every metric over the folds."""
    parts = [(labels[folds == fold], probabilities[folds == fold]) for fold in range(FOLDS)]
    values = {name: [float(metric(*part)) for part in parts] for name, metric in METRICS.items()}
    return {
        name: {"mean": float(np.mean(each)), "std": float(np.std(each, ddof=1))}
        for name, each in values.items()
    }


def choose_threshold(labels: Integers, probabilities: Probabilities) -> tuple[float, float]:
    """Choose the threshold with the best F1 score, and return both.

    F1 suits unequal classes: with a threshold of 0.5 a model of rare events misses many of them.

    Args:
        labels: the labels, int64 [n_rows], 0 or 1.
        probabilities: float64 [n_rows] from models that have not seen the row.
    """
    scores = [f1_score(labels, probabilities >= threshold) for threshold in _THRESHOLDS]
    best = int(np.argmax(scores))
    return float(_THRESHOLDS[best]), float(scores[best])
