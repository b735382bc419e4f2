"""Loads a PipelineModel and appends its probability, which needs PySpark."""

from __future__ import annotations

from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it ships no types
from pyspark.errors import PySparkException
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lib.errors import ModelMismatchError, name_error
from lib.score.frames import in_range_expr
from lib.score.scorer import PROBABILITY_COLUMN
from lib.spark.quoting import quote

_SPARKS_CLASSIFIERS = "pyspark.ml.classification"


def load_pipeline_model(location: str, session: SparkSession) -> PipelineModel:
    """Load a saved PipelineModel, whose location is a URI, in this session.

    If it ends with a classifier of Spark's, that adds only the probability. With raw predictions
    too, Spark passes a vector between functions for each record, an eighth of the time of scoring.
    """
    model: PipelineModel = PipelineModel.read().session(session).load(location)
    for last in model.stages[-1:]:
        # Classifiers of other packages may need the column.
        if type(last).__module__ == _SPARKS_CLASSIFIERS and last.hasParam("probabilityCol"):
            for name in ("rawPredictionCol", "predictionCol"):
                last.set(last.getParam(name), "")  # there is no such column
    return model


def append_probability(frame: DataFrame, model: Any, name: str) -> DataFrame:
    """Append ``probability`` to the frame, and drop the model's own columns.

    Args:
        frame: a frame with the model's columns.
        model: an object whose ``transform`` adds a vector of probabilities.
        name: the name of the model, for messages.

    Raises:
        ModelMismatchError: the model does not take the frame's columns, or adds no such vector.
    """
    vector = _probability_column(model)
    try:
        scored: DataFrame = model.transform(frame)
        probability = vector_to_array(F.col(quote(vector)))
        kept = [F.col(quote(column)) for column in frame.columns]
        return scored.select(*kept, in_range_expr(F.get(probability, F.lit(1))))
    except (PySparkException, Py4JError) as error:
        raise ModelMismatchError(
            f"{name}: found a frame that the model does not take: {name_error(error)}",
            hint="give the columns and types that it was trained with",
        ) from error


def _probability_column(model: Any) -> str:
    """Find the column of probabilities of the last classifier in the pipeline."""
    for stage in reversed(getattr(model, "stages", None) or [model]):
        if getattr(stage, "hasParam", lambda _: False)("probabilityCol"):
            return str(stage.getOrDefault("probabilityCol"))
    return PROBABILITY_COLUMN
