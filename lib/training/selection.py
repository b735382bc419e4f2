"""Chooses between candidates: nested cross-validation, and a comparison on the same rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline

from lib.errors import SettingsError
from lib.record.contract import Contract
from lib.training.candidates import CANDIDATES, Candidate
from lib.training.data import TrainingData
from lib.training.evaluation import FOLDS, Integers, Probabilities, compute_losses
from lib.training.paired.estimate import Estimate, estimate_mean

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """A candidate's result of cross-validation.

    Attributes:
        candidate: the candidate.
        probabilities: float64 [n_rows]: each row's, from the model that has not seen its fold.
        pipelines: the fitted pipeline of each fold, which chose its parameters without that fold.
    """

    candidate: Candidate
    probabilities: Probabilities
    pipelines: list[Pipeline]


@dataclass(frozen=True)
class Choice:
    """The candidates that were tried, and the chosen one.

    Attributes:
        trials: the results, the simplest candidate first.
        differences: each trial's difference from the one with the least log loss.
        left_out: candidate → the reason why it was not tried.
        winner: the chosen trial.
    """

    trials: list[Trial]
    differences: list[Estimate]
    left_out: dict[str, str]
    winner: Trial


def cross_validate(
    candidate: Candidate, data: TrainingData, folds: Integers, contract: Contract, seed: int
) -> Trial:
    """Fit on each fold's other rows, choosing the parameters within them, and score the fold.

    Args:
        candidate: the candidate.
        data: the rows.
        folds: the fold that holds each row out, int64 [n_rows].
        contract: the contract of the features.
        seed: the seed of the inner folds.
    """
    probabilities = np.empty(data.rows)
    pipelines = []
    for fold in range(FOLDS):
        held_out = folds == fold
        pipeline = candidate.fit(data.select(~held_out), contract, seed)
        probabilities[held_out] = pipeline.predict_proba(data.features[held_out])[:, 1]
        pipelines.append(pipeline)
    return Trial(candidate, probabilities, pipelines)


def compare(labels: Integers, first: Probabilities, second: Probabilities) -> Estimate:
    """Compare the log loss of two models' probabilities of the same rows, row by row.

    The mean difference is positive where the first model is worse.
    """
    return estimate_mean(compute_losses(labels, first) - compute_losses(labels, second))


def compare_with_best(labels: Integers, trials: Sequence[Trial]) -> list[Estimate]:
    """Compare each trial with the one of the least log loss."""
    losses = [compute_losses(labels, trial.probabilities).mean() for trial in trials]
    best = trials[int(np.argmin(losses))]
    return [compare(labels, trial.probabilities, best.probabilities) for trial in trials]


def choose_simplest(
    trials: Sequence[Trial],
    differences: Sequence[Estimate],
    is_fast: Callable[[Trial], bool],
) -> Trial:
    """Choose the simplest candidate that is within one standard error of the best.

    Among them, one that no fast engine can score loses.

    Args:
        trials: the trials, the simplest candidate first.
        differences: each trial's difference to the best one.
        is_fast: a function that tells whether a fast engine can score the candidate; it is called
            only where there is another candidate to take.
    """
    near = [trial for trial, it in zip(trials, differences, strict=True) if it.is_within_error]
    if len(near) == 1:
        return near[0]
    return next(filter(is_fast, near), near[0])


def choose(
    data: TrainingData,
    candidates: Sequence[Candidate],
    *,
    folds: Integers,
    seed: int,
    contract: Contract,
    is_fast: Callable[[Candidate], bool],
    report: Callable[[str], None] = logger.info,
) -> Choice:
    """Cross-validate the candidates on the same folds, and choose one.

    Args:
        data: the rows to learn from.
        candidates: the candidates, the simplest first.
        folds: the fold that holds each row out, int64 [n_rows].
        seed: the seed of the inner folds.
        contract: the contract of the features.
        is_fast: a function that tells whether a fast engine can score the candidate; see
            :func:`choose_simplest`.
        report: a function that gets a phrase at each step.

    Raises:
        SettingsError: no candidate can be tried on so many rows.
    """
    trials: list[Trial] = []
    left_out: dict[str, str] = {}
    for candidate in candidates:
        obstacle = candidate.find_obstacle(contract, data.rows)
        if obstacle is not None:
            logger.warning("%s is not tried: %s", candidate.name, obstacle)
            left_out[candidate.name] = obstacle
            continue
        report(f"cross-validating {candidate.name}")
        trials.append(cross_validate(candidate, data, folds, contract, seed))
    if not trials:
        raise SettingsError(
            "; ".join(f"--candidates {name}: {reason}" for name, reason in left_out.items()),
            hint=f"name another candidate, such as {next(iter(CANDIDATES))}",
        )
    differences = compare_with_best(data.labels, trials)
    winner = choose_simplest(trials, differences, lambda trial: is_fast(trial.candidate))
    return Choice(trials, differences, left_out, winner)
