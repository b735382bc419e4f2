"""Converts the penalty of the logistic regression from scikit-learn to Spark.

Both minimise the same function of the coefficients of standardised columns::

    scikit-learn    C · Σ loss + ½ Σ (β·σ)²                σ² over n
    Spark           1/n · Σ loss + ½ regParam · Σ (β·s)²   s² over n - 1

so they agree where regParam = (n - 1) / (C · n²). The intercept is not penalised in either.
Sources: scikit-learn's user guide on logistic regression; Spark's ``LogisticRegression`` with
``standardization=True``.
"""

from __future__ import annotations

# Scikit-learn's C. On the data that it was chosen with, ROC-AUC and log loss are flat from 0.01 to
# 0.1. The stronger penalty keeps Spark's solver well conditioned although the indicators of a field
# sum to one.
INVERSE_PENALTY = 0.01


def compute_spark_penalty(rows: int, inverse_penalty: float = INVERSE_PENALTY) -> float:
    """Compute Spark's ``regParam`` for a training frame of that many rows (at least 2)."""
    return (rows - 1) / (inverse_penalty * rows**2)
