"""Scores rows with scikit-learn, in this process or in a Python worker of Spark.

It imports no pyspark, because a worker imports this module once, and scoring in process needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.errors import ModelMismatchError
from lib.score.scorer import Probabilities


def compute_probability(
    model: Any,
    preprocessor: Any,
    positive: int,
    columns: Sequence[str] | None,
    features: pd.DataFrame,
) -> Probabilities:
    """Compute the probability of the positive class.

    Args:
        model: an object with ``predict_proba`` for two classes.
        preprocessor: an object with ``transform`` that comes before it; None for none.
        positive: the position of the positive class, 0 or 1.
        columns: the columns in the model's order, if it takes a matrix without names; else None.
        features: the rows to score.

    Returns:
        The probabilities, float64 [n_rows].

    Raises:
        ModelMismatchError: the model does not have two classes.
        Exception: the error that the model raises.
    """
    # A frame of numbers and texts becomes a matrix of objects, as it was for the model's maker.
    inputs = features if columns is None else features[list(columns)].to_numpy()
    if preprocessor is not None:
        inputs = preprocessor.transform(inputs)
    probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    if probabilities.shape != (len(features), 2):
        raise ModelMismatchError(
            f"{type(model).__name__}: found probabilities of shape {probabilities.shape}, "
            f"expected {(len(features), 2)}: one column for each of two classes"
        )
    return probabilities[:, positive]
