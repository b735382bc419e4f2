"""What runs where rows are scored by scikit-learn: in this process or in a Python worker of Spark.

No pyspark here: a worker imports this module once, and the in-process path needs none.
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.errors import ModelMismatchError

logger = logging.getLogger(__name__)


def compute_probability(
    model: Any, preprocessor: Any, features: pd.DataFrame
) -> npt.NDArray[np.float64]:
    """Probability of class 1 as the model gives it.

    Returns:
        float64 [n_rows].

    Raises:
        ModelMismatchError: the model has not two classes.
        Exception: whatever the model raises.
    """
    inputs = features if preprocessor is None else preprocessor.transform(features)
    probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    if probabilities.shape != (len(features), 2):
        raise ModelMismatchError(
            f"{type(model).__name__}: found probabilities of shape {probabilities.shape}, "
            f"expected {(len(features), 2)}: one column for each of two classes"
        )
    return probabilities[:, 1]


def unpickle(content: bytes) -> tuple[Any, Any]:
    """Model and preprocessor."""
    model, preprocessor = joblib.load(io.BytesIO(content))
    return model, preprocessor


def score_batch(
    score: Callable[[pd.DataFrame], npt.NDArray[np.float64]], rows: pd.DataFrame
) -> npt.NDArray[np.float64]:
    """Score a batch of which some rows may make the model raise.

    Args:
        score: the model: rows → float64 [n_rows].
        rows: any number of them.

    Returns:
        float64 [n_rows] in [0, 1]; NaN for a row on which ``score`` raises or gives no probability.
    """
    errors: Counter[str] = Counter()
    probabilities = _score_halves(score, rows, errors)
    if errors:
        # The names only: a message may quote the record.
        names = ",".join(f"{name}:{count}" for name, count in sorted(errors.items()))
        logger.warning("model failed: rows=%s of=%s errors=%s", errors.total(), len(rows), names)
    with np.errstate(invalid="ignore"):
        valid = (probabilities >= 0) & (probabilities <= 1)
    return np.where(valid, probabilities, np.nan)


def _score_halves(
    score: Callable[[pd.DataFrame], npt.NDArray[np.float64]],
    rows: pd.DataFrame,
    errors: Counter[str],
) -> npt.NDArray[np.float64]:
    """Halve where the model raises: k bad rows of n cost about k log2 n calls, not n."""
    if rows.empty:
        return np.empty(0)
    try:
        return score(rows)
    except Exception as error:  # noqa: BLE001 - a bad row is data, whatever the model raises on it
        if len(rows) == 1:
            errors[type(error).__name__] += 1
            return np.full(1, np.nan)
    middle = len(rows) // 2
    return np.concatenate(
        [_score_halves(score, half, errors) for half in (rows[:middle], rows[middle:])]
    )
