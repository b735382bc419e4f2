"""Two models are measured on labelled rows: the same, or each on its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.training.paired.quality import Labelled, measure, measure_paired, measure_unpaired

LABELS = np.array([1, 0, 1, 0])


def label(*probabilities: float) -> Labelled:
    return Labelled(LABELS, np.array(probabilities), np.arange(4))


def test_metrics_are_those_of_training() -> None:
    found = measure(label(0.8, 0.2, 0.5, 0.5))

    assert list(found) == ["roc_auc", "brier", "log_loss"]
    assert found["roc_auc"].mean == pytest.approx(0.875)
    assert found["brier"].mean == pytest.approx((0.04 + 0.04 + 0.25 + 0.25) / 4)
    assert found["log_loss"].mean == pytest.approx((2 * 0.2231436 + 2 * 0.6931472) / 4)


def test_differences_on_the_same_rows_are_paired() -> None:
    roc_auc, brier, log_loss = measure_paired(label(0.5, 0.5, 0.5, 0.5), label(0.8, 0.2, 0.5, 0.5))

    assert (roc_auc.first.mean, roc_auc.second.mean) == (0.5, 0.875)
    assert roc_auc.difference.mean == 0.375
    # By row -0.21, -0.21, 0, 0: mean -0.105, deviation 0.121244, error 0.060622.
    assert brier.difference.mean == pytest.approx(-0.105)
    assert brier.difference.error == pytest.approx(0.060622, abs=1e-6)
    assert log_loss.difference.mean == pytest.approx(-0.235002, abs=1e-6)
    assert log_loss.difference.error == pytest.approx(0.135678, abs=1e-6)
    assert {it.rows for it in (roc_auc, brier, log_loss)} == {4}
    # The better model has the higher AUC and the lower loss.
    assert [it.loss < 0 for it in (roc_auc, brier, log_loss)] == [True, True, True]


def test_a_paired_difference_is_told_where_an_unpaired_one_is_not() -> None:
    random = np.random.default_rng(3)
    truth = random.uniform(0.05, 0.95, 2_000)
    labels = (random.random(2_000) < truth).astype(np.int64)
    blurred = np.clip(truth + random.normal(0, 0.1, 2_000), 0.04, 0.96)
    first, second = (Labelled(labels, it, np.arange(2_000)) for it in (blurred, truth))

    paired, unpaired = measure_paired(first, second), measure_unpaired(first, second)

    assert [it.difference.is_told_from_zero for it in paired] == [True, True, True]
    assert [it.difference.is_told_from_zero for it in unpaired] == [False, False, False]
    for one, other in zip(paired, unpaired, strict=True):
        assert one.difference.mean == pytest.approx(other.difference.mean)
        assert one.needed is not None
        assert other.needed is not None
        assert one.needed < 2_000 < other.needed


def test_unpaired_errors_add_up_as_squares() -> None:
    first, second = label(0.5, 0.4, 0.6, 0.3), label(0.8, 0.2, 0.5, 0.5)
    _, brier, _ = measure_unpaired(first, second)

    expected = math.hypot(measure(first)["brier"].error, measure(second)["brier"].error)
    assert brier.difference.error == pytest.approx(expected)
    assert brier.rows == 8


def test_a_printed_zero_is_no_certainty() -> None:
    found = measure(label(0.0, 0.0, 1.0, 1.0))

    # Half a millionth: two rows lose 14.508658 each, two nothing.
    assert found["log_loss"].mean == pytest.approx(7.254329, abs=1e-5)


@pytest.mark.parametrize(
    ("positives", "negatives", "is_too_few"),
    [(10, 90, False), (9, 91, True), (10, 89, True), (95, 9, True), (60, 40, False), (0, 0, True)],
)
def test_labels_may_be_too_few(positives: int, negatives: int, is_too_few: bool) -> None:
    labels = np.array([1] * positives + [0] * negatives, dtype=np.int64)
    rows = Labelled(labels, np.zeros(len(labels)), np.arange(len(labels)))

    assert rows.is_too_few is is_too_few
