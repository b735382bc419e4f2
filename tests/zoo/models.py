"""Fits a model that several tests of this folder take."""

from __future__ import annotations

from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.zoo.test_zoo import ROWS, fit


def make_plain_model() -> Any:
    """Fit a model of nothing but scikit-learn's own types, which needs no income."""
    encode = make_column_transformer(
        (OneHotEncoder(), ["purpose"]), (StandardScaler(), ["years", "married"])
    )
    return fit(make_pipeline(encode, LogisticRegression()), ROWS.drop(columns="income"))
