"""Builds Spark frames of features, and columns of probabilities, for all models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import DoubleType

from lib.record.contract import Contract
from lib.record.types import find_spark_type
from lib.score.scorer import PROBABILITY_COLUMN, Probabilities
from lib.spark.quoting import quote


def build_frame(features: pd.DataFrame, session: SparkSession) -> DataFrame:
    """Build a Spark frame of the same rows in order, whatever the session's Arrow settings are.

    Raises:
        TypeError, ValueError: a column mixes types.
    """
    # Spark reads no dictionary-encoded columns.
    encoded = features.select_dtypes("category").columns
    plain = features.astype(dict.fromkeys(encoded, object)) if len(encoded) else features
    # Spark makes a local relation of an Arrow table, so that small frames are read without a job.
    table = pa.Table.from_pandas(plain, preserve_index=False)
    for position, field in enumerate(table.schema):
        if pa.types.is_null(field.type):  # all are missing, as numbers are NaN it is a text
            table = table.set_column(position, field.name, table[position].cast(pa.string()))
    return session.createDataFrame(table)


def score_typed(
    append: Callable[[DataFrame], DataFrame], contract: Contract, features: pd.DataFrame
) -> Probabilities:
    """Score features with the types that Spark gives them in a stream.

    Args:
        append: a function that appends ``probability`` to a frame.
        contract: the contract, which says the types.
        features: the contract's features.

    Returns:
        The probabilities, float64 [n_rows]; NaN for none.
    """
    frame = build_frame(features, SparkSession.active())
    kept = [F.col(quote(it.name)).cast(find_spark_type(it)) for it in contract.features]
    rows = append(frame.select(*kept)).select(PROBABILITY_COLUMN).collect()
    return np.array([np.nan if it is None else it for (it,) in rows], dtype=np.float64)


def in_range_expr(probability: Column) -> Column:
    """Replace values that are no probability by null, NaN too: Spark orders it above numbers."""
    return F.when(probability.between(0.0, 1.0), probability).alias(PROBABILITY_COLUMN)


def append_by_pandas(
    frame: DataFrame, columns: Sequence[str], score: Callable[[pd.DataFrame], Probabilities]
) -> DataFrame:
    """Append ``probability`` to the frame: in [0, 1], null if there is none.

    On 2 cores with 19 columns, one struct argument, 19 series and Arrow arrays were equally fast,
    so this is the form that keeps the columns' names. Spark sets OMP_NUM_THREADS to
    ``spark.task.cpus`` in its workers, so that models do not start threads of their own.

    Args:
        frame: a frame with the columns, and any others.
        columns: the columns that ``score`` takes.
        score: a function for Python workers: rows → float64 [n_rows], NaN for null.
    """

    def score_rows(rows: pd.DataFrame) -> pd.Series:
        return pd.Series(score(rows))  # NaN becomes null on the way back

    quoted = [F.col(quote(name)).alias(name) for name in columns]
    udf = pandas_udf(score_rows, DoubleType())  # type: ignore[call-overload]  # its overloads want hints' deprecated forerunner
    return frame.select("*", udf(F.struct(*quoted)).alias(PROBABILITY_COLUMN))
