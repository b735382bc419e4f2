"""The ROC-AUC and the difference of two get DeLong's errors, and Obuchowski's for clusters."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lib.training.paired.ranking import rank_rows

LABELS = np.array([1, 1, 1, 0, 0, 0, 0])
FIRST = np.array([0.9, 0.4, 0.6, 0.3, 0.5, 0.1, 0.4])
SECOND = np.array([0.8, 0.7, 0.2, 0.3, 0.6, 0.1, 0.2])


def test_placements_are_the_shares_that_a_row_outranks_or_that_outrank_it() -> None:
    # The positive 0.4 outranks 0.3 and 0.1 of four negatives, and ties with 0.4.
    assert rank_rows(LABELS, FIRST).placements.tolist() == pytest.approx(
        [1, 0.625, 1, 1, 2 / 3, 1, 5 / 6]
    )


def test_the_value_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, 300), random.integers(0, 40, 300) / 40

    found = rank_rows(labels, scores).estimate()

    assert found.mean == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_the_error_is_delongs() -> None:
    found = rank_rows(LABELS, FIRST).estimate()

    assert found.mean == pytest.approx(0.875)
    # Over positives: (0.125² + 0.25² + 0.125²) / 2 = 0.046875; over negatives, from 1, 2/3, 1, 5/6:
    # (0.015625 + 0.0434028 + 0.015625 + 0.0017361) / 3 = 0.0254630.
    assert found.error == pytest.approx(math.sqrt(0.046875 / 3 + 0.0254630 / 4), abs=1e-6)
    assert found.interval == pytest.approx((0.875 - 0.290649, 0.875 + 0.290649), abs=1e-4)


def test_the_error_of_a_difference_is_that_of_the_differences_of_placements() -> None:
    found = rank_rows(LABELS, SECOND).subtract(rank_rows(LABELS, FIRST)).estimate()

    def place(scores: np.ndarray) -> np.ndarray:
        """Compare each positive with each negative: float64 [3, 4]."""
        pairs = product(scores[LABELS == 1], scores[LABELS == 0])
        return np.array([(a > b) + (a == b) / 2 for a, b in pairs]).reshape(3, 4)

    difference = place(SECOND) - place(FIRST)
    variance = np.var(difference.mean(axis=1), ddof=1) / 3
    variance += np.var(difference.mean(axis=0), ddof=1) / 4
    assert found.mean == pytest.approx(difference.mean())
    assert found.mean == pytest.approx(-1 / 12)
    assert found.error == pytest.approx(math.sqrt(variance))


def test_models_that_rank_alike_do_not_differ() -> None:
    found = rank_rows(LABELS, FIRST / 2).subtract(rank_rows(LABELS, FIRST)).estimate()

    assert (found.mean, found.error, found.count_needed(7)) == (0, 0, None)


def test_each_row_in_a_cluster_of_its_own_is_as_without_clusters() -> None:
    ranking = rank_rows(LABELS, FIRST)

    assert ranking.estimate(np.arange(7)).error == pytest.approx(ranking.estimate().error)


def test_the_error_of_clusters_is_obuchowskis() -> None:
    found = rank_rows(LABELS, FIRST).estimate(np.array([0, 1, 2, 2, 3, 4, 5]))

    # Deviations of positives by cluster: 0.125, -0.25, 0.125, in 3 of 6 clusters; of negatives
    # 0.125, -0.208333, 0.125, -0.041667 in 4. The third cluster has one of both.
    positive = 3 / 2 * (0.125**2 + 0.25**2 + 0.125**2) / 3**2
    negative = 4 / 3 * (0.125**2 + 0.208333**2 + 0.125**2 + 0.041667**2) / 4**2
    both = 2 * 6 / 5 * 0.125 * 0.125 / (3 * 4)
    assert found.error == pytest.approx(math.sqrt(positive + negative + both), abs=1e-6)


def test_copies_of_rows_in_their_clusters_tell_nothing_more() -> None:
    once = rank_rows(LABELS, FIRST).estimate()
    copies = rank_rows(np.repeat(LABELS, 5), np.repeat(FIRST, 5)).estimate(
        np.repeat(np.arange(7), 5)
    )

    assert copies.mean == pytest.approx(once.mean)
    assert copies.error == pytest.approx(once.error)


def test_a_single_subject_of_a_class_tells_no_error() -> None:
    labels = np.array([1, 0, 0])
    ranking = rank_rows(labels, np.array([0.5, 0.2, 0.7]))

    assert (ranking.estimate().mean, ranking.estimate().error) == (0.5, math.inf)
