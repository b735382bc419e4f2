"""Spark frames of features, and columns of probabilities, whatever the model is."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lib.score.base import PROBABILITY_COLUMN


def build_frame(features: pd.DataFrame, session: SparkSession) -> DataFrame:
    """A Spark frame of the same rows, in order, whatever the session's Arrow settings.

    Raises:
        TypeError, ValueError: a column mixes types.
    """
    # Spark reads no dictionary-encoded columns.
    encoded = features.select_dtypes("category").columns
    plain = features.astype(dict.fromkeys(encoded, object)) if len(encoded) else features
    # From an Arrow table Spark makes a local relation: small frames need no job to be read.
    return session.createDataFrame(pa.Table.from_pandas(plain, preserve_index=False))


def in_range_expr(probability: Column) -> Column:
    """Null for what is no probability. NaN is one of those: Spark orders it above all numbers."""
    return F.when(probability.between(0.0, 1.0), probability).alias(PROBABILITY_COLUMN)
