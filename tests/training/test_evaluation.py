from __future__ import annotations

import numpy as np
import pytest

from lib.errors import SourceError
from lib.training.evaluation import (
    Costs,
    Threshold,
    assign_folds,
    choose_threshold,
    compute_losses,
    group_rows,
    measure,
    measure_calibration,
)

LABELS = np.array([1] * 20 + [0] * 80)


def test_folds_are_of_one_size_and_share_the_positives() -> None:
    folds = assign_folds(LABELS, seed=0)
    assert np.bincount(folds).tolist() == [20] * 5
    assert np.bincount(folds[LABELS == 1]).tolist() == [4] * 5


def test_folds_follow_the_seed() -> None:
    assert assign_folds(LABELS, seed=1).tolist() == assign_folds(LABELS, seed=1).tolist()
    assert assign_folds(LABELS, seed=1).tolist() != assign_folds(LABELS, seed=2).tolist()


@pytest.mark.parametrize("labels", [[1] * 4 + [0] * 80, [0] * 80, [1] * 80, [1] * 80 + [0] * 4])
def test_too_few_rows_of_a_class_are_refused(labels: list[int]) -> None:
    with pytest.raises(SourceError, match="at least 5 of each"):
        assign_folds(np.array(labels), seed=0)


def test_a_perfect_model_measures_perfect() -> None:
    metrics = measure(LABELS, LABELS.astype(float), assign_folds(LABELS, seed=0))
    assert metrics["roc_auc"] == {"mean": 1.0, "std": 0.0}
    assert metrics["pr_auc"] == {"mean": 1.0, "std": 0.0}
    assert metrics["brier"] == {"mean": 0.0, "std": 0.0}
    assert metrics["log_loss"]["mean"] == pytest.approx(0.0, abs=1e-12)


def test_a_constant_model_measures_the_share_of_positives() -> None:
    metrics = measure(LABELS, np.full(100, 0.2), assign_folds(LABELS, seed=0))
    assert metrics["roc_auc"]["mean"] == 0.5
    assert metrics["pr_auc"]["mean"] == pytest.approx(0.2)
    assert metrics["brier"]["mean"] == pytest.approx(0.16)
    assert metrics["log_loss"]["mean"] == pytest.approx(0.5004, abs=1e-4)


def test_the_deviation_is_that_over_the_folds() -> None:
    labels = np.array([0, 1] * 5)
    folds = np.repeat(np.arange(5), 2)
    right, wrong = [0.0, 1.0], [1.0, 0.0]
    metrics = measure(labels, np.array(right * 4 + wrong), folds)
    assert metrics["roc_auc"]["mean"] == pytest.approx(0.8)
    assert metrics["roc_auc"]["std"] == pytest.approx(0.4472, abs=1e-4)


SIX_LABELS = np.array([0, 0, 0, 1, 1, 0])
SIX = np.array([0.05, 0.1, 0.2, 0.3, 0.6, 0.7])


def test_the_threshold_has_the_best_f1() -> None:
    # From 0.3 on there are two hits and one false alarm.
    threshold = choose_threshold(SIX_LABELS, SIX)
    assert threshold.value == 0.21
    assert threshold.f1 == pytest.approx(0.8)
    assert threshold.describe_rule() == {"rule": "best F1"}


@pytest.mark.parametrize(
    ("missed", "alarm", "expected"),
    [
        # Missing is dear: both positives are found, with one false alarm in six rows.
        (10.0, 1.0, Threshold(0.21, 0.8, Costs(10.0, 1.0), 1 / 6)),
        # An alarm is dear: nothing is predicted positive, and two are missed.
        (1.0, 10.0, Threshold(0.71, 0.0, Costs(1.0, 10.0), 2 / 6)),
    ],
)
def test_the_threshold_has_the_least_cost(missed: float, alarm: float, expected: Threshold) -> None:
    found = choose_threshold(SIX_LABELS, SIX, Costs(missed, alarm))
    assert found.value == expected.value
    assert found.f1 == pytest.approx(expected.f1)
    assert found.cost_per_row == pytest.approx(expected.cost_per_row)
    assert found.describe_rule().keys() == {"rule", "missed", "alarm", "cost_per_row"}


def test_the_loss_of_a_row_is_the_logarithm_of_its_labels_probability() -> None:
    losses = compute_losses(np.array([1, 0, 1]), np.array([0.5, 0.2, 0.0]))
    assert losses.tolist() == pytest.approx([0.693147, 0.223144, 36.043653], abs=1e-6)


def test_groups_are_of_one_size_and_ordered() -> None:
    probabilities = np.arange(20)[::-1] / 20
    labels = np.array([1] * 10 + [0] * 10)
    groups = group_rows(labels, probabilities)
    assert len(groups) == 10
    assert (groups[0].rows, groups[0].share) == (2, 0.0)
    assert groups[0].mean == pytest.approx(0.025)
    assert (groups[9].rows, groups[9].share) == (2, 1.0)
    assert groups[9].mean == pytest.approx(0.925)


@pytest.mark.parametrize(("probability", "expected"), [(0.2, 0.0), (0.5, 0.3), (0.1, 0.1)])
def test_the_calibration_error_is_the_distance_from_the_share(
    probability: float, expected: float
) -> None:
    labels = np.array([1, 0, 0, 0, 0] * 20)
    assert measure_calibration(labels, np.full(100, probability)) == pytest.approx(expected)
