"""Scores rows with scikit-learn, in this process or in a Python worker of Spark.

It imports no pyspark, because a worker imports this module once, and scoring in process needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.errors import ModelMismatchError
from lib.score.scorer import Probabilities

Prepare = Callable[[pd.DataFrame], Any]


def take_matrix(columns: Sequence[str], features: pd.DataFrame) -> Any:
    """Take columns as a matrix: [n_rows, n_columns], of objects if a column holds texts."""
    return features[list(columns)].to_numpy()


def take_categories(features: pd.DataFrame) -> pd.DataFrame:
    """Give texts the type ``category``; LightGBM and XGBoost find each value in their own list."""
    texts = features.select_dtypes("object").columns
    return features.astype(dict.fromkeys(texts, "category"))


def compute_probability(
    model: Any,
    preprocessor: Any,
    positive: int,
    prepare: Prepare | None,
    features: pd.DataFrame,
) -> Probabilities:
    """Compute the probability of the positive class.

    Args:
        model: an object with ``predict_proba`` for two classes.
        preprocessor: an object with ``transform`` that comes before it; None for none.
        positive: the position of the positive class, 0 or 1.
        prepare: a function that gives the rows the form that the model was fitted on; None if that
            is a frame with texts and numbers.
        features: the rows to score.

    Returns:
        The probabilities, float64 [n_rows].

    Raises:
        ModelMismatchError: the model does not have two classes.
        Exception: the error that the model raises.
    """
    inputs = features if prepare is None else prepare(features)
    if preprocessor is not None:
        inputs = preprocessor.transform(inputs)
    probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    if probabilities.shape != (len(features), 2):
        raise ModelMismatchError(
            f"{type(model).__name__}: found probabilities of shape {probabilities.shape}, "
            f"expected {(len(features), 2)}: one column for each of two classes"
        )
    return probabilities[:, positive]
