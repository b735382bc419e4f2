"""Loads a PipelineModel and appends its probability, which needs PySpark."""

from __future__ import annotations

from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it ships no types
from pyspark.errors import PySparkException
from pyspark.ml import PipelineModel
from pyspark.ml.feature import IndexToString, StringIndexerModel
from pyspark.ml.functions import vector_to_array
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lib.errors import ModelMismatchError, name_error
from lib.score.frames import in_range_expr
from lib.score.scorer import PROBABILITY_COLUMN
from lib.spark.quoting import quote

_SPARKS_CLASSIFIERS = "pyspark.ml.classification"
# The errors of Spark's two readers if a folder holds a model of another class.
_OTHER_CLASS = ("Expected class name", "stageUids")


def load_pipeline_model(location: str, session: SparkSession) -> Any:
    """Load a saved PipelineModel, or another saved model of Spark's, in this session.

    If it ends with a classifier of Spark's, that adds only the probability. With raw predictions
    too, Spark passes a vector between functions for each record, an eighth of the time of scoring.

    Args:
        location: the URI of the model's folder.
        session: the session to load it in.
    """
    model = _load(location, session)
    for last in _list_stages(model)[-1:]:
        # Classifiers of other packages may need the column.
        if type(last).__module__ == _SPARKS_CLASSIFIERS and last.hasParam("probabilityCol"):
            for name in ("rawPredictionCol", "predictionCol"):
                last.set(last.getParam(name), "")  # there is no such column
    return model


def append_probability(frame: DataFrame, model: Any, name: str, positive: int) -> DataFrame:
    """Append ``probability`` to the frame, and drop the model's own columns.

    Args:
        frame: a frame with the model's columns.
        model: an object whose ``transform`` adds a vector of probabilities.
        name: the name of the model, for messages.
        positive: the position of the positive class in the vector, 0 or 1.

    Raises:
        ModelMismatchError: the model does not take the frame's columns, or adds no such vector.
    """
    stage = _find_stage(model)
    vector = PROBABILITY_COLUMN if stage is None else str(stage.getOrDefault("probabilityCol"))
    try:
        scored: DataFrame = _leave_out_label(model, stage).transform(frame)
        probability = vector_to_array(F.col(quote(vector)))
        kept = [F.col(quote(column)) for column in frame.columns]
        return scored.select(*kept, in_range_expr(F.get(probability, F.lit(positive))))
    except (PySparkException, Py4JError) as error:
        raise ModelMismatchError(
            f"{name}: found a frame that the model does not take: {name_error(error)}",
            hint="give the columns and types that it was trained with",
        ) from error


def read_classes(model: Any) -> list[Any] | None:
    """Read the classes of a model in the order of its probabilities; None if no stage tells them.

    A classifier of Spark's numbers its classes from 0. A stage that has indexed the label, or one
    that turns predictions into texts, tells what the numbers stand for.
    """
    stage = _find_stage(model)
    if stage is None:
        return None
    label = _read_param(stage, "labelCol")
    for other in _list_stages(model):
        indexed = _list_indexed(other)
        if label in indexed:
            return list(other.labelsArray[indexed.index(label)])
        if isinstance(other, IndexToString) and other.isSet("labels"):
            return list(other.getLabels())
    return list(range(getattr(stage, "numClasses", 2)))


def read_threshold(model: Any) -> float | None:
    """Read the probability of the second class above which the model predicts it; None if unset."""
    stage = _find_stage(model)
    if stage is None:
        return None
    if stage.hasParam("thresholds") and stage.isSet("thresholds"):
        first, second = stage.getThresholds()
        return float(second / (first + second))
    if stage.hasParam("threshold") and stage.isSet("threshold"):
        return float(stage.getThreshold())
    return None


def _leave_out_label(model: Any, stage: Any) -> Any:
    """Leave out a stage that only indexes the label, of which Spark would warn in each batch."""
    if not isinstance(model, PipelineModel) or stage is None:
        return model
    label = _read_param(stage, "labelCol")
    kept = [it for it in model.stages if label is None or _list_indexed(it) != [label]]
    return model if len(kept) == len(model.stages) else PipelineModel(kept)


def _list_indexed(stage: Any) -> list[str]:
    """List the columns that a stage makes by numbering texts; empty for other stages."""
    if not isinstance(stage, StringIndexerModel):
        return []
    return list(stage.getOutputCols()) if stage.isSet("outputCols") else [stage.getOutputCol()]


def _read_param(stage: Any, name: str) -> Any:
    return stage.getOrDefault(name) if stage.hasParam(name) else None


def _load(location: str, session: SparkSession) -> Any:
    try:
        return PipelineModel.read().session(session).load(location)
    except Exception as error:
        if not any(sign in str(error) for sign in _OTHER_CLASS):
            raise
    reader: Any = DefaultParamsReader
    return _unwrap(reader.loadParamsInstance(location, session))


def _unwrap(model: Any) -> Any:
    """Return the best model of one that has tried several, which scores alike."""
    return getattr(model, "bestModel", model)


def _list_stages(model: Any) -> list[Any]:
    """List the stages of a model in order, those of pipelines within it too."""
    model = _unwrap(model)
    stages = getattr(model, "stages", None)
    return [model] if not stages else [it for stage in stages for it in _list_stages(stage)]


def _find_stage(model: Any) -> Any:
    """Find the last stage that gives probabilities; None if there is none."""
    for stage in reversed(_list_stages(model)):
        if getattr(stage, "hasParam", lambda _: False)("probabilityCol"):
            return stage
    return None
