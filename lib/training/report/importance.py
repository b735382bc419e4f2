"""Measures how much a model's held-out scores depend on each field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.record.contract import Contract
from lib.training.data import TrainingData
from lib.training.evaluation import FOLDS, Integers, compute_losses
from lib.training.selection import Trial

# Student's t for 95 % with four degrees of freedom: five folds less the mean.
_QUANTILE = 2.776
# So many held-out rows of a fold are enough, and more would take minutes for millions.
_MOST_ROWS = 2_000


@dataclass(frozen=True)
class Importance:
    """The growth of log loss when a field's values are exchanged between the held-out rows.

    Attributes:
        field: the name of the field.
        mean: the mean over the folds.
        low: the lower end of the mean's 95 % interval.
        high: the upper end.
    """

    field: str
    mean: float
    low: float
    high: float


def measure_importances(
    trial: Trial, data: TrainingData, folds: Integers, contract: Contract, seed: int
) -> list[Importance]:
    """Measure the importance of every feature, the largest first.

    Args:
        trial: the result of cross-validation, with the fitted pipeline of each fold.
        data: the rows.
        folds: the fold that holds each row out, int64 [n_rows].
        contract: the contract of the features.
        seed: the seed of the exchanges.
    """
    random = np.random.default_rng(seed)
    growths: dict[str, list[float]] = {name: [] for name in contract.feature_names}
    for fold, pipeline in enumerate(trial.pipelines):
        held_out = np.flatnonzero(folds == fold)
        chosen = random.permutation(held_out)[:_MOST_ROWS]
        rows, labels = data.features.iloc[chosen], data.labels[chosen]
        before = compute_losses(labels, trial.probabilities[chosen]).mean()
        # The first step reads text, of which these rows have none.
        scorer = pipeline[1:]
        for name, found in growths.items():
            exchanged = rows.assign(**{name: random.permutation(rows[name].to_numpy())})
            after = compute_losses(labels, scorer.predict_proba(exchanged)[:, 1]).mean()
            found.append(float(after - before))
    return sorted((_summarize(*it) for it in growths.items()), key=lambda it: -it.mean)


def _summarize(name: str, growths: list[float]) -> Importance:
    mean = float(np.mean(growths))
    half = _QUANTILE * float(np.std(growths, ddof=1)) / FOLDS**0.5
    return Importance(name, mean, mean - half, mean + half)
