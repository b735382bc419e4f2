"""Reads predictions and outcomes of a topic or of Parquet files, and leaves out what is neither.

Guarantee: each committed message between two positions is read once; what is left out is counted
by reason, and its position is kept. Assumes that nobody changes the files meanwhile. On failure
nothing has been written. Runs in the executors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampNTZType, TimestampType

from lib.errors import SourceError, first_line
from lib.evaluation.definition import Reason
from lib.evaluation.progress import FileRange, TopicRange
from lib.kafka.cluster import Cluster
from lib.record.contract import Contract
from lib.record.prediction import Part, list_fields
from lib.source.kafka import FETCH_OPTIONS
from lib.source.parquet import NO_PARTITION
from lib.spark.quoting import quote

#: The columns of what is left out: the side, the position, and a value of :class:`Reason`.
REFUSED_SCHEMA = "side string, source string, partition int, offset bigint, reason string"
OUTCOME_SCHEMA = "identifier string, label string, time timestamp, messages bigint"
PREDICTION_SCHEMA = (
    "identifier string, model_version string, probability double, predicted string,"
    " event_time timestamp, processed_time timestamp, source string, partition int, offset bigint"
)
_POSITION = ("source", "partition", "offset")
_BROKEN = "not JSON"
# Spark takes a time of day for one of today.
_BEGINS_WITH_DATE = r"^\s*\d{4}-\d{2}-\d{2}"


def list_files(spark: SparkSession, flag: str, paths: Sequence[str]) -> dict[str, tuple[int, int]]:
    """List the files of folders and globs: URL → (size, time of the last change in ms).

    Raises:
        SourceError: there is no such file or folder.
    """
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        found = files.load(list(paths)).select(
            "path", "length", F.unix_millis("modificationTime").alias("changed")
        )
        return {it["path"]: (it["length"], it["changed"]) for it in found.collect()}
    except AnalysisException as error:
        raise SourceError(
            f"{flag} {' '.join(paths)}: {first_line(str(error))}",
            hint=f"point {flag} at Parquet files",
        ) from error


def read_outcomes(
    spark: SparkSession,
    part: TopicRange | FileRange,
    cluster: Cluster,
    contract: Contract,
    time_name: str,
) -> DataFrame:
    """Read outcomes: judged rows with the columns of :data:`OUTCOME_SCHEMA`, each one message.

    Args:
        spark: the session.
        part: the offsets or files that are read.
        cluster: the cluster of a topic.
        contract: the contract, which names the identifier, the label and its two values.
        time_name: the name of the outcome's time.

    Raises:
        SourceError: the files lack a column.
    """
    names = (contract.identifier.name, contract.label.name, time_name)
    frame = _read(spark, part, cluster, names, "--outcome-files")
    identifier, label, time = *_texts(frame, names[:2]), _time_expr(frame, time_name)
    labels = [contract.positive_label, contract.negative_label]
    reason = _choose_reason(
        (~_is_given(identifier), Reason.NO_IDENTIFIER),
        (~F.coalesce(label.isin(labels), F.lit(False)), Reason.NO_LABEL),
        (time.isNull(), Reason.NO_TIME),
    )
    columns = {"identifier": identifier, "label": label, "time": time, "messages": F.lit(1)}
    return _judge(frame, columns, reason, OUTCOME_SCHEMA)


def read_predictions(
    spark: SparkSession, part: TopicRange | FileRange, cluster: Cluster, contract: Contract
) -> DataFrame:
    """Read predictions: judged rows with the columns of :data:`PREDICTION_SCHEMA`.

    Args:
        spark: the session.
        part: the offsets or files that are read.
        cluster: the cluster of a topic.
        contract: the contract, which names the fields of predictions.

    Raises:
        SourceError: the files lack a column.
    """
    names = {field.part: field.name for field in list_fields(contract)}
    frame = _read(
        spark, part, cluster, tuple(names.values()), "--prediction-files", names[Part.EVENT_TIME]
    )
    identifier, label, version = _texts(
        frame, [names[it] for it in (Part.IDENTIFIER, Part.LABEL, Part.MODEL)]
    )
    probability = F.col(quote(names[Part.PROBABILITY])).try_cast("double")
    event, processed = (_time_expr(frame, names[it]) for it in (Part.EVENT_TIME, Part.PROCESSED))
    reason = _choose_reason(
        (~_is_given(identifier), Reason.NO_IDENTIFIER),
        (~F.coalesce(probability.between(0, 1), F.lit(False)), Reason.NO_PROBABILITY),
        (label.isNull(), Reason.NO_LABEL),
        (version.isNull(), Reason.NO_VERSION),
        (processed.isNull(), Reason.NO_TIME),
    )
    columns = {
        "identifier": identifier,
        # One version may be scored by several engines, which agree.
        "model_version": F.regexp_replace(version, "/[^/]*$", ""),
        "probability": probability,
        "predicted": label,
        "event_time": event,
        "processed_time": processed,
        **{name: F.col(f"_position.{name}") for name in _POSITION},
    }
    return _judge(frame, columns, reason, PREDICTION_SCHEMA)


def _is_given(identifier: Column) -> Column:
    """Build a boolean: whether a text is there and not empty."""
    return F.coalesce(F.length(identifier) > 0, F.lit(False))


def _read(
    spark: SparkSession,
    part: TopicRange | FileRange,
    cluster: Cluster,
    names: Sequence[str],
    flag: str,
    optional: str | None = None,
) -> DataFrame:
    """Read the named fields, ``_position``, and in ``_problem`` a reason that is known already."""
    if isinstance(part, FileRange):
        return _read_files(spark, part, names, flag, optional)
    return _read_topic(spark, part, cluster, names)


def _read_topic(
    spark: SparkSession, part: TopicRange, cluster: Cluster, names: Sequence[str]
) -> DataFrame:
    def spell(offsets: dict[int, int]) -> str:
        return json.dumps({part.topic: {str(p): at for p, at in sorted(offsets.items())}})

    options = {
        **FETCH_OPTIONS,
        **cluster.for_spark(),
        "subscribe": part.topic,
        "kafka.isolation.level": "read_committed",
        "failOnDataLoss": "true",
        "startingOffsets": spell(dict(part.start)),
        "endingOffsets": spell(dict(part.end)),
    }
    records = spark.read.format("kafka").options(**options).load()
    value = F.col("value").cast("string")
    schema = ", ".join(f"{quote(name)} string" for name in (*names, _BROKEN))
    found = F.from_json(value, schema, {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _BROKEN})
    problem = F.when(F.col("value").isNull(), str(Reason.NO_VALUE)).when(
        F.col("_found").isNull() | F.col("_found")[_BROKEN].isNotNull(), str(Reason.NO_JSON)
    )
    position = F.struct(F.col("topic").alias("source"), "partition", "offset")
    fields = [F.col("_found")[name].alias(name) for name in names]
    return records.select("value", found.alias("_found"), position.alias("_position")).select(
        *fields, "_position", problem.alias("_problem")
    )


def _read_files(
    spark: SparkSession,
    part: FileRange,
    names: Sequence[str],
    flag: str,
    optional: str | None,
) -> DataFrame:
    if part.is_empty:
        empty = spark.range(0).select(*(F.lit(None).cast("string").alias(name) for name in names))
        nothing = F.struct(
            F.lit("").alias("source"),
            F.lit(NO_PARTITION).alias("partition"),
            F.lit(0).cast("bigint").alias("offset"),
        )
        return empty.select("*", nothing.alias("_position"), _no_problem())
    try:
        frame = spark.read.parquet(*part.files)
    except AnalysisException as error:
        raise SourceError(
            f"{flag} {' '.join(part.files[:3])}: {first_line(str(error))}",
            hint=f"point {flag} at Parquet files of one schema",
        ) from error
    missing = [name for name in names if name not in frame.columns and name != optional]
    if missing:
        raise SourceError(
            f"{flag}: found the columns {', '.join(frame.columns[:30])}, expected"
            f" {', '.join(missing)} too",
            hint=f"point {flag} at tables with these columns, or name the contract they follow",
        )
    position = F.struct(
        F.col("_metadata.file_path").alias("source"),
        F.lit(NO_PARTITION).alias("partition"),
        F.col("_metadata.row_index").alias("offset"),
    )
    fields = [
        F.col(quote(name)) if name in frame.columns else F.lit(None).cast("string").alias(name)
        for name in names
    ]
    return frame.select(*fields, position.alias("_position"), _no_problem())


def _no_problem() -> Column:
    return F.lit(None).cast("string").alias("_problem")


def _texts(frame: DataFrame, names: Sequence[str]) -> list[Column]:
    return [F.col(quote(name)).cast("string") for name in names]


def _time_expr(frame: DataFrame, name: str) -> Column:
    """Build a timestamp of a column that holds one, or a text in ISO 8601, UTC without a zone."""
    column = F.col(quote(name))
    if isinstance(frame.schema[name].dataType, TimestampType | TimestampNTZType):
        return column.cast("timestamp")
    text = column.cast("string")
    return F.when(text.rlike(_BEGINS_WITH_DATE), text.try_cast("timestamp"))


def _choose_reason(*cases: tuple[Column, Reason]) -> Column:
    """Build the first reason whose condition is true; null for none."""
    known = F.when(F.col("_problem").isNotNull(), F.col("_problem"))
    return reduce(lambda found, case: found.when(case[0], str(case[1])), cases, known)


def build_empty(spark: SparkSession, schema: str) -> DataFrame:
    """Build a frame without rows, and without the Python workers that Spark starts for a list."""
    kinds = dict(field.split() for field in schema.split(","))
    nothing = (F.lit(None).cast(kind).alias(name) for name, kind in kinds.items())
    return spark.range(0).select(*nothing)


def take_rows(judged: DataFrame) -> DataFrame:
    """Take the rows that are predictions, or outcomes."""
    return judged.where(F.col("_reason").isNull()).drop("_place", "_reason")


def take_refused(judged: DataFrame, side: str) -> DataFrame:
    """Take the positions of all other rows, with the columns of :data:`REFUSED_SCHEMA`."""
    places = [F.col(f"_place.{name}").alias(name) for name in _POSITION]
    return judged.where(F.col("_reason").isNotNull()).select(
        F.lit(side).alias("side"), *places, F.col("_reason").alias("reason")
    )


def _judge(frame: DataFrame, columns: dict[str, Column], reason: Column, schema: str) -> DataFrame:
    kinds = dict(field.split() for field in schema.split(","))
    return frame.select(
        *(columns[name].cast(kind).alias(name) for name, kind in kinds.items()),
        F.col("_position").alias("_place"),
        reason.alias("_reason"),
    )
