"""The population stability index of counts by bin, and how large it is by chance. Pure.

The index of two distributions p and q over the same bins is the sum of (p - q) · ln(p / q). Where
both are samples of one population, of n and N rows, n · PSI / (1 + n / N) is distributed like
chi-square with one degree of freedom less than there are bins (Yurdakul, Statistical Properties of
Population Stability Index, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np

#: The probability that chance alone exceeds the limit, for one feature in one window.
FALSE_ALARM = 1e-6
# Each bin gets half a record more, so that an empty one has a logarithm.
_MORE = 0.5
_DEVIATIONS = NormalDist().inv_cdf(1 - FALSE_ALARM)


def compute_psi(training: Sequence[float], counts: Sequence[float]) -> float:
    """Compute the population stability index of counts against those of the training data.

    Bins that are empty in both are left out.
    """
    pairs = np.array([training, counts], np.float64)
    pairs = pairs[:, pairs.sum(axis=0) > 0]
    if not pairs.size:
        return 0.0
    shares = pairs + _MORE
    shares /= shares.sum(axis=1, keepdims=True)
    expected, found = shares
    return float(((found - expected) * np.log(found / expected)).sum())


def find_chance_limit(training: Sequence[float], counts: Sequence[float]) -> float:
    """Find the index that chance alone exceeds with the probability :data:`FALSE_ALARM`.

    The quantile of chi-square is Wilson and Hilferty's.
    """
    bins = sum(a + b > 0 for a, b in zip(training, counts, strict=True))
    rows, known = sum(counts), sum(training)
    if bins < 2 or not rows or not known:
        return 0.0
    freedom = bins - 1
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + _DEVIATIONS * sqrt(spread)) ** 3
    return float(quantile * (1 / rows + 1 / known))
