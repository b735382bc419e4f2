from __future__ import annotations

import numpy as np
import pytest

from lib.errors import SourceError
from lib.training.evaluation import assign_folds, choose_threshold, measure

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


def test_the_threshold_has_the_best_f1() -> None:
    labels = np.array([0, 0, 0, 1, 1, 0])
    probabilities = np.array([0.05, 0.1, 0.2, 0.3, 0.6, 0.7])
    # From 0.3 on there are two hits and one false alarm.
    threshold, f1 = choose_threshold(labels, probabilities)
    assert threshold == 0.21
    assert f1 == pytest.approx(0.8)
