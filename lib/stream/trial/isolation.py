"""Scores rows with a model that must not delay others: within a time, and a number of calls."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from lib.encode.shadow import ShadowScores
from lib.errors import ModelMismatchError, NoProbabilityError
from lib.score.scorer import Probabilities
from lib.score.workers.halves import ColumnRows

#: So many calls of the model find failing rows: about three of ten thousand, each alone.
MOST_CALLS = 64


def score_rows(
    compute: Callable[[ColumnRows], Probabilities], rows: ColumnRows, until_s: float
) -> ShadowScores:
    """Score rows, some of which may make the model raise.

    A group of rows that makes it raise is halved, the largest group first, as long as there are
    calls and time left. Then all rows of a group get the exception of their group.

    Args:
        compute: the function of the model.
        rows: any number of rows.
        until_s: the time, by ``time.monotonic``, from which on no group is halved any more.
    """
    count = len(rows)
    probabilities = np.full(count, np.nan)
    errors = np.full(count, NoProbabilityError.__name__, dtype=object)
    # Failing rows often stand together, so a random order would need more calls.
    waiting = deque([np.arange(count)] if count else [])
    for call in range(MOST_CALLS):
        if not waiting:
            break
        group = waiting.popleft()
        try:
            found = _check_shape(compute(rows if not call else rows.take(group)), len(group))
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            errors[group] = type(error).__name__
            if len(group) > 1 and time.monotonic() < until_s:
                waiting.extend(np.array_split(group, 2))
            continue
        with np.errstate(invalid="ignore"):
            is_probability = (found >= 0) & (found <= 1)
        probabilities[group] = np.where(is_probability, found, np.nan)
        errors[group] = NoProbabilityError.__name__
        errors[group[is_probability]] = None
    return ShadowScores(probabilities, errors)


def _check_shape(found: Probabilities, count: int) -> Probabilities:
    probabilities = np.asarray(found, dtype=np.float64)
    if probabilities.shape != (count,):
        raise ModelMismatchError(
            f"found probabilities of shape {probabilities.shape}, expected {(count,)}"
        )
    return probabilities
