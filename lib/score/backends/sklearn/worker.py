"""Scores rows with scikit-learn, in this process or in a Python worker of Spark.

It imports no pyspark, because a worker imports this module once, and scoring in process needs none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lib.errors import ModelMismatchError
from lib.score.scorer import Probabilities


def compute_probability(model: Any, preprocessor: Any, features: pd.DataFrame) -> Probabilities:
    """Compute the probability of class 1 with the model.

    Returns:
        The probabilities, float64 [n_rows].

    Raises:
        ModelMismatchError: the model does not have two classes.
        Exception: the error that the model raises.
    """
    inputs = features if preprocessor is None else preprocessor.transform(features)
    probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    if probabilities.shape != (len(features), 2):
        raise ModelMismatchError(
            f"{type(model).__name__}: found probabilities of shape {probabilities.shape}, "
            f"expected {(len(features), 2)}: one column for each of two classes"
        )
    return probabilities[:, 1]
