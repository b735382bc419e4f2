"""Counts the rows of the joined table, on the executors, for what the report says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lib.evaluation.cells import (
    AGE,
    ALL,
    COMPLETE,
    RECENT,
    VERSION,
    WEEK,
    Cell,
    OutcomeCounts,
)
from lib.evaluation.definition import AGES, Definition, Status
from lib.evaluation.quality import GROUPS, Counts, Quality, measure
from lib.record.contract import Contract
from lib.spark.quoting import name_local_path

_SECONDS_A_DAY = 86_400


def count_cells(table: DataFrame, definition: Definition) -> list[Cell]:
    """Count the rows of the table; there are as many cells as weeks, versions and ages need."""
    as_of = F.lit(definition.as_of).cast("timestamp")
    own_age = (F.unix_seconds(as_of) - F.unix_seconds("predicted_time")) / _SECONDS_A_DAY
    cells = table.select(
        "model_version",
        _week_expr().alias("week"),
        "status",
        "is_late",
        F.when(F.col("age_days").isNotNull(), _age_expr(F.col("age_days"))).alias("age"),
        _age_expr(own_age).alias("predicted_age"),
    )
    names = cells.columns
    return [
        Cell(it[0], it[1], Status(it[2]), *it[3:]) for it in cells.groupBy(*names).count().collect()
    ]


def count_outcomes(outcomes: DataFrame, table: DataFrame) -> OutcomeCounts:
    """Count the outcomes by what became of them."""
    first = table.groupBy("identifier").agg(F.min("predicted_time").alias("_first"))
    judged = outcomes.join(first, "identifier", "left")
    one = judged.agg(
        F.coalesce(F.sum("messages"), F.lit(0)),
        F.count(F.lit(1)),
        F.count_if(F.col("_first").isNull()),
        F.count_if(F.col("time") <= F.col("_first")),
    ).collect()[0]
    both = outcomes.groupBy("identifier").agg(F.count_distinct("label").alias("_labels"))
    return OutcomeCounts(one[0], one[1], both.where("_labels > 1").count(), one[2], one[3])


def count_refused(refused: DataFrame) -> dict[str, Counter[str]]:
    """Count what was left out: side → reason → number."""
    found: dict[str, Counter[str]] = {"prediction": Counter(), "outcome": Counter()}
    for side, reason, number in refused.groupBy("side", "reason").count().collect():
        found[side][reason] = number
    return found


class Scores:
    """The labelled rows of each part, counted by probability.

    They are written once, because those of all parts may be more than memory holds; those of one
    part are at most a million probabilities for each group of subjects.

    Args:
        folder: a folder that does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, table: DataFrame, definition: Definition, contract: Contract) -> None:
        """Count the labelled rows of the table, and write the counts."""
        is_positive = F.col("outcome") == contract.positive_label
        millionths = F.floor(F.col("probability") * 1_000_000 + 0.5)
        parts = (
            table.where(F.col("status") == str(Status.LABELLED))
            .select(
                F.explode(_parts_expr(definition)).alias("_part"),
                F.pmod(F.xxhash64("identifier"), F.lit(GROUPS)).alias("subjects"),
                millionths.alias("millionths"),
                is_positive.cast("long").alias("_positive"),
            )
            .select("_part.*", "subjects", "millionths", "_positive")
        )
        counts = parts.groupBy("dimension", "value", "subjects", "millionths").agg(
            F.sum("_positive").alias("positives"),
            F.sum(1 - F.col("_positive")).alias("negatives"),
        )
        ordered = counts.repartition("dimension", "value").sortWithinPartitions(
            "dimension", "value"
        )
        ordered.write.parquet(name_local_path(self._folder))

    def measure(self, dimension: str, value: str = "") -> Quality:
        """Measure the quality of one part."""
        chosen = (pc.field("dimension") == dimension) & (pc.field("value") == value)
        columns = ["millionths", "subjects", "positives", "negatives"]
        found = ds.dataset(self._folder, format="parquet").to_table(columns, filter=chosen)
        arrays = (found[name].to_numpy().astype(np.int64) for name in columns)
        return measure(Counts(*arrays))


def _parts_expr(definition: Definition) -> Column:
    """Build the parts that a row belongs to: array of struct of dimension and value."""

    def part(dimension: str, value: Column) -> Column:
        return F.struct(F.lit(dimension).alias("dimension"), value.alias("value"))

    last, nothing = F.lit(definition.last_complete_week), F.lit("")
    week, version = _week_expr(), F.col("model_version")
    is_complete = week <= last
    is_recent = is_complete & (week > F.date_sub(last, 7 * definition.recent_weeks))
    found = F.array(
        part(ALL, nothing),
        part(WEEK, week.cast("string")),
        F.when(is_complete, part(COMPLETE, nothing)),
        F.when(is_complete, part(VERSION, version)),
        F.when(is_complete, part(AGE, _age_expr(F.col("age_days")).cast("string"))),
        F.when(is_recent, part(RECENT, version)),
    )
    return F.filter(found, lambda it: it.isNotNull())


def _week_expr() -> Column:
    """Build the Monday, in UTC, of the week of the prediction."""
    return F.date_trunc("week", "predicted_time").cast("date")


def _age_expr(days: Column) -> Column:
    """Build the class of an age: its place in :data:`AGES`."""
    place = F.lit(0)
    for first, _ in AGES[1:]:
        place = place + (days >= first).cast("int")
    return place
