"""Fits and cross-validates in Spark; the driver sends the rows and collects the results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lib.record.contract import Contract
from lib.training.data import TrainingData
from lib.training.evaluation import FOLDS, Integers, Probabilities
from lib.training.spark_pipeline import (
    ENCODED_COLUMN,
    LABEL_COLUMN,
    build_encoding_stages,
    build_regression,
    build_spark_pipeline,
)

_ROW, _FOLD, _PROBABILITY = "_row", "_fold", "_probability"
# Every iteration of the solver is a Spark job, so small data are faster in one partition.
_ROWS_PER_PARTITION = 50_000


def fit_spark_pipeline(
    spark: SparkSession, data: TrainingData, contract: Contract
) -> PipelineModel:
    """Fit the Spark pipeline on all rows."""
    frame = _keep(_build_frame(spark, data), data.rows)
    return build_spark_pipeline(contract, data.rows).fit(frame)


def score_with_spark(
    spark: SparkSession, model: PipelineModel, features: pd.DataFrame
) -> Probabilities:
    """Score each row: float64 [n_rows]."""
    rows = features.assign(**{_ROW: np.arange(len(features))})
    scored = model.transform(_send(spark, rows))
    return _collect(scored.select(_ROW, _probability_expr()), len(features))


def score_expression(spark: SparkSession, expression: str, features: pd.DataFrame) -> Probabilities:
    """Evaluate a Spark SQL expression for each row in generated code: float64 [n_rows]."""
    rows = features.assign(**{_ROW: np.arange(len(features))})
    frame = _keep(_send(spark, rows), len(features))
    return _collect(frame.select(_ROW, F.expr(expression).alias(_PROBABILITY)), len(features))


def cross_validate_spark(
    spark: SparkSession, data: TrainingData, folds: Integers, contract: Contract
) -> Probabilities:
    """Score each row with the model that has not seen its fold: float64 [n_rows].

    The encoding learns nothing from data, so it is applied once; the regression is fitted for each
    fold.
    """
    encoded = _build_frame(spark, data, **{_FOLD: folds, _ROW: np.arange(data.rows)})
    for stage in build_encoding_stages(contract):
        encoded = stage.transform(encoded)
    encoded = _keep(encoded.select(ENCODED_COLUMN, LABEL_COLUMN, _FOLD, _ROW), data.rows)
    probabilities = np.empty(data.rows)
    for fold in range(FOLDS):
        held_out = folds == fold
        regression = build_regression(int(np.sum(~held_out)))
        model = regression.fit(encoded.where(F.col(_FOLD) != fold))
        scored = model.transform(encoded.where(F.col(_FOLD) == fold))
        scored = scored.select(_ROW, _probability_expr())
        probabilities[held_out] = _collect(scored, int(np.sum(held_out)))
    return probabilities


def _build_frame(spark: SparkSession, data: TrainingData, **more: Integers) -> DataFrame:
    rows = data.features.assign(**{LABEL_COLUMN: data.labels.astype(np.float64)}, **more)
    return _send(spark, rows)


def _send(spark: SparkSession, rows: pd.DataFrame) -> DataFrame:
    """Send the rows as a Spark frame with Arrow, whatever the session's settings are."""
    return spark.createDataFrame(pa.Table.from_pandas(rows, preserve_index=False))


def _keep(frame: DataFrame, rows: int) -> DataFrame:
    """Compute the frame once; a cached frame would still send its rows with every task."""
    return frame.localCheckpoint(eager=True).coalesce(-(-rows // _ROWS_PER_PARTITION))


def _collect(scored: DataFrame, count: int) -> Probabilities:
    """Collect the probabilities in the order of the rows."""
    rows = scored.toArrow().sort_by(_ROW)
    assert rows.num_rows == count, (rows.num_rows, count)
    return np.asarray(rows[_PROBABILITY].to_numpy(), dtype=np.float64)


def _probability_expr() -> Column:
    return vector_to_array(F.col("probability"))[1].alias(_PROBABILITY)
