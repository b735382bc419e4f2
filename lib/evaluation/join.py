"""Joins predictions and outcomes by identifier, whatever time lies between them. Runs in executors.

Of the outcomes that follow a prediction within the horizon, the newest by its own time counts: a
later one is a correction, or a later state of the same subject. The rule looks neither at scores
nor at the order of arrival, so that the result is the same in whatever parts both sides are read.
Where the newest time has two labels there is no ground to choose, and the prediction is left
out.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lib.evaluation.definition import Definition, Status

#: The columns that the join adds to those of predictions.
JOINED = ("predicted_time", "status", "outcome", "outcome_time", "age_days", "is_late")
_SECONDS_A_DAY = 86_400


def join_outcomes(predictions: DataFrame, outcomes: DataFrame, definition: Definition) -> DataFrame:
    """Add to each prediction what is known of its outcome.

    Args:
        predictions: rows with the columns of ``lib.evaluation.inputs.PREDICTION_SCHEMA``.
        outcomes: distinct rows with the columns of ``lib.evaluation.inputs.OUTCOME_SCHEMA``.
        definition: the rules by which outcomes count.

    Returns:
        A row for each prediction, with the columns :data:`JOINED` added.
    """
    known = outcomes.groupBy("identifier").agg(
        F.collect_list(F.struct("time", "label")).alias("_known")
    )
    joined = predictions.join(known, "identifier", "left").withColumn(
        "predicted_time", predicted_time_expr(definition)
    )
    following = F.filter("_known", lambda it: it["time"] > F.col("predicted_time"))
    joined = joined.withColumn("_following", following)
    within = F.col("_following")
    if definition.horizon_days is not None:
        seconds = definition.horizon_days * _SECONDS_A_DAY
        end = F.timestamp_micros(
            F.unix_micros("predicted_time") + F.lit(int(seconds * 1_000_000)).cast("bigint")
        )
        within = F.filter("_following", lambda it: it["time"] <= end)
    joined = joined.withColumn("_within", within)
    newest = F.array_max(F.transform("_within", lambda it: it["time"]))
    joined = joined.withColumn("_newest", newest)
    said = F.array_distinct(
        F.transform(
            F.filter("_within", lambda it: it["time"] == F.col("_newest")), lambda it: it["label"]
        )
    )
    joined = joined.withColumn("_said", said)
    joined = joined.withColumn("outcome", F.when(F.size("_said") == 1, F.col("_said")[0]))
    # A label that is told again has been known since it was told first.
    times = F.transform(
        F.filter("_within", lambda it: it["label"] == F.col("outcome")), lambda it: it["time"]
    )
    joined = joined.withColumn(
        "outcome_time", F.when(F.col("outcome").isNotNull(), F.array_min(times))
    )
    age = F.unix_micros("outcome_time") - F.unix_micros("predicted_time")
    joined = joined.withColumn("age_days", age / (_SECONDS_A_DAY * 1_000_000))
    return joined.withColumns(
        {
            "status": _status_expr(),
            "is_late": F.coalesce(F.col("age_days") > definition.max_age_days, F.lit(False)),
        }
    ).drop("_known", "_following", "_within", "_newest", "_said")


def predicted_time_expr(definition: Definition) -> Column:
    """Build the time at which a prediction counts as made."""
    processed = F.col("processed_time")
    return F.coalesce("event_time", processed) if definition.by_event_time else processed


def _status_expr() -> Column:
    def is_empty(name: str) -> Column:
        return F.coalesce(F.size(name) <= 0, F.lit(True))

    return (
        F.when(is_empty("_known"), str(Status.UNLABELLED))
        .when(is_empty("_following"), str(Status.KNOWN_BEFORE))
        .when(is_empty("_within"), str(Status.AFTER_HORIZON))
        .when(F.col("outcome").isNull(), str(Status.CONTRADICTED))
        .otherwise(str(Status.LABELLED))
    )
