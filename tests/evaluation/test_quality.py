"""Figures and intervals are those of literal counts, and those of scikit-learn on rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from lib.evaluation.quality import Counts, measure
from lib.training.evaluation import measure_calibration


def count(rows: list[tuple[float, int, int, int]]) -> Counts:
    """Build counts of (probability, group, positives, negatives)."""
    millionths = np.array([round(it[0] * 1_000_000) for it in rows], np.int64)
    groups, positives, negatives = (np.array([it[at] for it in rows], np.int64) for at in (1, 2, 3))
    return Counts(millionths, groups, positives, negatives)


def draw(rows: int, seed: int) -> Counts:
    """Draw calibrated probabilities and outcomes, a row each."""
    chance = np.random.default_rng(seed)
    millionths = np.floor(chance.beta(1, 3, rows) * 1_000_000 + 0.5).astype(np.int64)
    positives = (chance.random(rows) < millionths / 1_000_000).astype(np.int64)
    return Counts(millionths, chance.integers(0, 20, rows), positives, 1 - positives)


def test_figures_are_those_of_scikit_learn_on_the_rows() -> None:
    counts = draw(5_000, seed=1)
    probabilities, labels = counts.millionths / 1_000_000, counts.positives

    quality = measure(counts)

    assert quality.rows == 5_000
    assert quality.positives == labels.sum()
    assert quality.roc_auc is not None
    assert quality.roc_auc.value == pytest.approx(roc_auc_score(labels, probabilities), abs=1e-12)
    assert quality.brier is not None
    expected = brier_score_loss(labels, probabilities)
    assert quality.brier.value == pytest.approx(expected, abs=1e-12)
    assert quality.calibration_error is not None
    expected = measure_calibration(labels, probabilities)
    assert quality.calibration_error.value == pytest.approx(expected, abs=1e-6)


def test_equal_probabilities_count_as_half_a_pair_and_are_divided_among_deciles() -> None:
    rows = [(0.2, group, 1, 9) for group in range(10)] + [(0.6, group, 6, 4) for group in range(10)]

    quality = measure(count(rows))

    # 70 positives and 130 negatives; 60 of the former lie above 90 of the latter.
    pairs = 60 * 90 + (10 * 90 + 60 * 40) / 2
    assert quality.roc_auc is not None
    assert vars(quality.roc_auc) == pytest.approx(
        {"value": pairs / (70 * 130), "low": 0.774725, "high": 0.774725}, abs=1e-6
    )
    assert quality.brier is not None
    assert vars(quality.brier) == pytest.approx({"value": 0.17, "low": 0.17, "high": 0.17})
    assert [it.rows for it in quality.deciles] == pytest.approx([20] * 10)
    assert [it.mean for it in quality.deciles] == pytest.approx([0.2] * 5 + [0.6] * 5)
    assert [it.share.value for it in quality.deciles] == pytest.approx([0.1] * 5 + [0.6] * 5)
    assert quality.deciles[-1].lift.value == pytest.approx(0.6 / 0.35)
    assert quality.calibration_error is not None
    assert quality.calibration_error.value == pytest.approx(0.05)


def test_the_interval_holds_the_truth_in_95_of_100_cases() -> None:
    whole = measure(draw(400_000, seed=0)).roc_auc
    assert whole is not None

    held = 0
    for seed in range(101, 301):
        found = measure(draw(500, seed)).roc_auc
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= whole.value <= found.high

    assert 182 <= held <= 198


def test_rows_of_one_subject_are_worth_one_row() -> None:
    once = draw(600, seed=3)
    four_times = Counts(once.millionths, once.groups, 4 * once.positives, 4 * once.negatives)

    first, second = measure(once), measure(four_times)

    assert second.rows == 2_400
    assert second.roc_auc == first.roc_auc
    assert second.share is not None
    assert first.share is not None
    assert second.share.low == pytest.approx(first.share.low, abs=0.005)


@pytest.mark.parametrize(
    ("positives", "negatives"), [(9, 200), (200, 9), (40, 59), (0, 300), (300, 0)]
)
def test_too_few_rows_have_a_share_and_no_more(positives: int, negatives: int) -> None:
    rows = [(0.3, 0, positives, 0), (0.4, 1, 0, negatives)]

    quality = measure(count(rows))

    assert (quality.rows, quality.positives) == (positives + negatives, positives)
    assert quality.share is not None
    assert quality.share.value == positives / (positives + negatives)
    assert not quality.is_measured
    assert (quality.brier, quality.calibration_error, quality.deciles) == (None, None, ())


def test_a_share_of_nothing_has_an_interval() -> None:
    quality = measure(count([(0.3, 0, 0, 50), (0.3, 1, 0, 50)]))

    assert quality.share is not None
    assert quality.share.low == 0
    assert quality.share.high == pytest.approx(0.036995, abs=1e-5)  # Wilson's for 0 of 100


def test_no_rows_have_no_figures() -> None:
    quality = measure(count([]))

    assert (quality.rows, quality.share, quality.roc_auc) == (0, None, None)


def test_a_single_subject_group_has_figures_without_intervals() -> None:
    quality = measure(count([(0.3, 5, 30, 70), (0.7, 5, 60, 40)]))

    assert quality.roc_auc is not None
    assert (quality.roc_auc.low, quality.roc_auc.high) == (None, None)
