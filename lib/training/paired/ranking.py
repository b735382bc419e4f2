"""Estimates the ROC-AUC of models, and the difference of two on the same rows. Pure.

The error is DeLong's (1988), from the rows' ranks as Sun and Xu (2014) compute it, and for subjects
with several rows that of Obuchowski (1997), which is DeLong's where each has one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata  # type: ignore[import-untyped]  # it ships no types

from lib.training.evaluation import Integers, Probabilities
from lib.training.paired.estimate import Estimate, Numbers, sum_clusters


@dataclass(frozen=True)
class Ranking:
    """The order in which a model ranks labelled rows.

    Attributes:
        placements: float64 [n_rows]: of a positive row the share of the negative rows that it
            outranks, of a negative row the share of the positive rows that outrank it; ties count
            half. The mean over either class is the ROC-AUC.
        labels: int64 [n_rows], 0 or 1, with rows of both.
    """

    placements: Numbers
    labels: Integers

    def subtract(self, other: Ranking) -> Ranking:
        """Return the differences of the placements from those of another model."""
        return Ranking(self.placements - other.placements, self.labels)

    def estimate(self, clusters: Integers | None = None) -> Estimate:
        """Estimate the ROC-AUC or, of differences, the difference of two.

        Args:
            clusters: see :func:`lib.training.paired.estimate.estimate_mean`.
        """
        is_positive = self.labels == 1
        auc = float(np.mean(self.placements[is_positive]))
        centred = self.placements - auc
        positive = _sum_class(centred, is_positive, clusters)
        negative = _sum_class(centred, ~is_positive, clusters)
        counts = [float(np.count_nonzero(it)) for it in (is_positive, ~is_positive)]
        groups = [_count_groups(it, clusters) for it in (is_positive, ~is_positive)]
        if min(groups) < 2:
            return Estimate(auc, math.inf)
        variance = sum(
            group / (group - 1) * float(np.sum(sums**2)) / count**2
            for group, count, sums in zip(groups, counts, (positive, negative), strict=True)
        )
        # A subject may have rows of both classes.
        both = len(positive)
        shared = both / (both - 1) * float(np.sum(positive * negative))
        variance += 2 * shared / (counts[0] * counts[1])
        return Estimate(auc, math.sqrt(max(0.0, variance)))


def rank_rows(labels: Integers, probabilities: Probabilities) -> Ranking:
    """Rank labelled rows by a model's probabilities.

    Args:
        labels: int64 [n_rows], 0 or 1, with rows of both.
        probabilities: float64 [n_rows].
    """
    is_positive = labels == 1
    positives, negatives = np.count_nonzero(is_positive), np.count_nonzero(~is_positive)
    among_all = rankdata(probabilities)
    placements = np.empty(len(labels))
    within = rankdata(probabilities[is_positive])
    placements[is_positive] = (among_all[is_positive] - within) / negatives
    within = rankdata(probabilities[~is_positive])
    placements[~is_positive] = 1 - (among_all[~is_positive] - within) / positives
    return Ranking(placements, labels)


def _sum_class(centred: Numbers, mask: npt.NDArray[np.bool_], clusters: Integers | None) -> Numbers:
    """Sum the rows of one class by cluster: float64 [n_clusters]."""
    return sum_clusters(np.where(mask, centred, 0.0), clusters)


def _count_groups(mask: npt.NDArray[np.bool_], clusters: Integers | None) -> int:
    return int(np.count_nonzero(mask)) if clusters is None else len(np.unique(clusters[mask]))
