"""Scores a batch, some rows of which make the model raise: only these get no probability.

It imports no pyspark, because each worker imports this module.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from lib.score.scorer import Probabilities

logger = logging.getLogger(__name__)

#: A function: rows → probability of class 1, float64 [n_rows]. It may raise any error.
Compute = Callable[[pd.DataFrame], Probabilities]


def score_batch(compute: Compute, rows: pd.DataFrame) -> Probabilities:
    """Score a batch, some rows of which may make the model raise.

    Args:
        compute: the function of the model.
        rows: any number of rows.

    Returns:
        The probabilities, float64 [n_rows] in [0, 1]; NaN for a row on which ``compute`` raises or
        gives no probability.
    """
    errors: Counter[str] = Counter()
    probabilities = _score_halves(compute, rows, errors)
    if errors:
        # Only the names are logged: a message may quote the record.
        names = ",".join(f"{name}:{count}" for name, count in sorted(errors.items()))
        logger.warning("model failed: rows=%s of=%s errors=%s", errors.total(), len(rows), names)
    with np.errstate(invalid="ignore"):
        valid = (probabilities >= 0) & (probabilities <= 1)
    return np.where(valid, probabilities, np.nan)


def _score_halves(compute: Compute, rows: pd.DataFrame, errors: Counter[str]) -> Probabilities:
    """Halve the rows if the model raises: k bad rows of n cost about k log2 n calls, not n."""
    if rows.empty:
        return np.empty(0)
    try:
        return compute(rows)
    except Exception as error:  # noqa: BLE001 - a bad row is data, whatever the model raises on it
        if len(rows) == 1:
            errors[type(error).__name__] += 1
            return np.full(1, np.nan)
    middle = len(rows) // 2
    return np.concatenate(
        [_score_halves(compute, half, errors) for half in (rows[:middle], rows[middle:])]
    )
