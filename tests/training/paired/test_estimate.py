"""Means, differences and shares get the errors and intervals of textbooks, with clusters too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.training.paired.estimate import (
    Estimate,
    compute_wilson,
    estimate_mean,
    estimate_share,
    number_clusters,
    subtract_unpaired,
)

VALUES = np.array([0.1, -0.05, 0.2, 0.0])


def test_rows_of_their_own_have_the_usual_standard_error_and_students_interval() -> None:
    found = estimate_mean(VALUES)

    assert found.mean == pytest.approx(0.0625)
    # Deviations 0.0375, -0.1125, 0.1375, -0.0625: squares add up to 0.036875; / 3 / 4.
    assert found.error == pytest.approx(math.sqrt(0.036875 / 3 / 4))
    # Student's t for 97.5 % and 3 degrees of freedom is 3.182446.
    low, high = found.interval
    assert low == pytest.approx(0.0625 - 3.182446 * 0.05543389, abs=1e-6)
    assert high == pytest.approx(0.0625 + 3.182446 * 0.05543389, abs=1e-6)
    assert not found.is_told_from_zero


def test_each_row_in_a_cluster_of_its_own_is_as_without_clusters() -> None:
    assert estimate_mean(VALUES, np.arange(4)) == estimate_mean(VALUES)


def test_rows_of_one_cluster_count_by_the_sum_of_their_deviations() -> None:
    found = estimate_mean(VALUES, np.array([0, 0, 1, 2]))

    # Sums of deviations: -0.075, 0.1375, -0.0625; squares add up to 0.0284375; * 3/2 / 4².
    assert found.error == pytest.approx(math.sqrt(1.5 * 0.0284375) / 4)
    assert found.degrees == 2


def test_copies_of_a_row_in_its_cluster_tell_nothing_more() -> None:
    many = estimate_mean(np.repeat(VALUES, 10), np.repeat(np.arange(4), 10))

    assert many.error == pytest.approx(estimate_mean(VALUES).error)
    assert estimate_mean(np.repeat(VALUES, 10)).error < many.error / 3


def test_a_single_cluster_tells_no_error() -> None:
    found = estimate_mean(VALUES, np.zeros(4, dtype=np.int64))

    assert (found.error, found.interval) == (math.inf, (-math.inf, math.inf))
    assert not found.is_told_from_zero
    assert found.count_needed(4) is None


def test_a_difference_of_other_rows_has_welchs_error_and_degrees() -> None:
    found = subtract_unpaired(Estimate(0.5, 0.04, 9), Estimate(0.3, 0.03, 19))

    assert found.mean == pytest.approx(0.2)
    assert found.error == pytest.approx(0.05)
    # 0.0025² / (0.0016² / 9 + 0.0009² / 19)
    assert found.degrees == pytest.approx(19.1087, abs=1e-3)
    # Student's t for 97.5 % and 19.1 degrees of freedom is 2.0923.
    assert found.interval == pytest.approx((0.2 - 0.10461, 0.2 + 0.10461), abs=2e-5)


def test_a_difference_without_an_error_on_one_side_has_none() -> None:
    assert subtract_unpaired(Estimate(1, math.inf), Estimate(0, 0.1, 5)).error == math.inf
    assert subtract_unpaired(Estimate(1, 0.0, 5), Estimate(0, 0.0, 5)).interval == (1, 1)


@pytest.mark.parametrize(
    ("share", "rows", "low", "high"),
    [
        (0.8, 10, 0.4901625, 0.9433178),
        (0.0, 10, 0.0, 0.2775328),
        (1.0, 10, 0.7224672, 1.0),
        (0.9624, 5000, 0.9567624, 0.9673277),
    ],
)
def test_a_share_has_wilsons_interval(share: float, rows: int, low: float, high: float) -> None:
    assert compute_wilson(share, rows) == pytest.approx((low, high), abs=1e-6)


def test_a_share_of_clustered_rows_counts_fewer_of_them() -> None:
    hits = np.array([True] * 8 + [False] * 2)

    alone, clustered = (
        estimate_share(hits),
        estimate_share(hits, np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])),
    )

    assert (alone.hits, alone.rows, alone.value) == (8, 10, 0.8)
    assert (alone.low, alone.high) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    # Sums of deviations 0.8, 0.8, -1.6: the error's square is 1.5 * 3.84 / 100 = 0.0576, that of
    # ten rows alone is 0.16 / 9, so they are worth 10 * 0.0177778 / 0.0576 = 3.0864.
    assert (clustered.low, clustered.high) == pytest.approx(compute_wilson(0.8, 3.0864), abs=1e-4)


def test_where_all_rows_agree_each_cluster_counts_once() -> None:
    found = estimate_share(np.ones(8, dtype=np.bool_), np.array([0, 0, 0, 0, 1, 1, 1, 1]))

    assert (found.low, found.high) == pytest.approx((0.3423802, 1.0), abs=1e-6)


def test_the_needed_sample_follows_from_error_and_difference() -> None:
    # (1.959964 + 0.841621)² = 7.848879; with a difference of one error, so many times the rows.
    assert Estimate(0.01, 0.01).count_needed(100) == 785
    assert Estimate(-0.02, 0.01).count_needed(1_000) == 1_963
    assert Estimate(0.1, 0.01).count_needed(1_000) == 79
    assert Estimate(0.0, 0.01).count_needed(1_000) is None
    assert Estimate(1e-9, 0.01).count_needed(1_000) is None


def test_the_needed_sample_tells_the_difference_four_times_in_five() -> None:
    random = np.random.default_rng(7)
    first = Estimate(0.1, 1 / math.sqrt(200), 199)  # 200 rows of a deviation of 1
    rows = first.count_needed(200)
    assert rows == 785

    found = [estimate_mean(random.normal(0.1, 1, rows)).is_told_from_zero for _ in range(2_000)]

    assert 0.77 < np.mean(found) < 0.83


def test_intervals_of_clustered_rows_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(5)
    clusters = np.repeat(np.arange(60), 5)

    def draw() -> np.ndarray:
        return random.normal(0, 1, 60)[clusters] + random.normal(0, 1, 300)

    held = {"clustered": 0, "alone": 0}
    for _ in range(1_000):
        values = draw()
        held["clustered"] += not estimate_mean(values, clusters).is_told_from_zero
        held["alone"] += not estimate_mean(values).is_told_from_zero

    assert 930 <= held["clustered"] <= 970
    assert held["alone"] < 850


def test_subjects_are_numbered_whatever_they_are_called() -> None:
    assert number_clusters(["b", "a", "b", "ü"]).tolist() == [1, 0, 1, 2]
