"""The sink takes some plans and refuses others. The streams are never started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lib.errors import PlanRefusedError
from lib.exactly_once.start.plan_check import check_plan

Change = Callable[[DataFrame, DataFrame], DataFrame]

_ROW = "source_partition int, source_offset long, timestamp timestamp"


@pytest.fixture(scope="module")
def stream(spark: SparkSession) -> DataFrame:
    return (
        spark.readStream.format("rate")
        .load()
        .selectExpr("0 AS source_partition", "value AS source_offset", "timestamp")
    )


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    """Make a static table with operators that a stream must not have."""
    return spark.range(9).selectExpr("id AS source_offset").distinct().limit(5)


def keep(key: Any, frames: Iterator[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
    yield from frames


def watermark(stream: DataFrame) -> DataFrame:
    return stream.withWatermark("timestamp", "1 second")


WITH_STATE: dict[str, Change] = {
    "Aggregate": lambda stream, _: watermark(stream).groupBy("source_offset").count(),
    "Deduplicate": lambda stream, _: stream.distinct(),
    "DeduplicateWithinWatermark": lambda stream, _: watermark(stream).dropDuplicatesWithinWatermark(
        ["source_offset"]
    ),
    "Join": lambda stream, _: stream.join(stream.select("source_offset"), "source_offset"),
    "GlobalLimit": lambda stream, _: stream.limit(5),
    "Offset": lambda stream, _: stream.offset(5),
    "Sort": lambda stream, _: stream.orderBy("source_offset"),
    "FlatMapGroupsInPandasWithState": lambda stream, _: stream.groupBy(
        "source_offset"
    ).applyInPandasWithState(keep, _ROW, "n long", "append", "NoTimeout"),
}
WITHIN_BATCH: dict[str, Change] = {
    "as it is": lambda stream, _: stream,
    "a projection": lambda stream, _: stream.select("*", F.explode(F.array(F.lit(1), F.lit(2)))),
    "a shuffle": lambda stream, _: stream.repartition(8, "source_offset"),
    "fewer tasks": lambda stream, _: stream.coalesce(1),
    "a union of parts": lambda stream, _: stream.where("source_offset > 5").union(stream),
    "a lookup": lambda stream, table: stream.join(F.broadcast(table), "source_offset", "left"),
    "a lookup from the right": lambda stream, table: table.join(stream, "source_offset"),
    "Python": lambda stream, _: stream.mapInPandas(lambda frames: frames, _ROW),
    "groups of a batch": lambda stream, _: stream.groupBy("source_partition").applyInPandas(
        lambda frame: frame, _ROW
    ),
}


@pytest.mark.parametrize("is_by_tasks", [False, True], ids=["driver", "executor"])
@pytest.mark.parametrize(("operator", "change"), WITH_STATE.items(), ids=WITH_STATE)
def test_a_plan_that_keeps_rows_for_a_later_batch_is_refused(
    stream: DataFrame, table: DataFrame, operator: str, change: Change, is_by_tasks: bool
) -> None:
    with pytest.raises(PlanRefusedError, match=f"operator {operator}, which may keep rows"):
        check_plan(change(stream, table), is_by_tasks=is_by_tasks)


@pytest.mark.parametrize("change", WITHIN_BATCH.values(), ids=WITHIN_BATCH)
def test_a_plan_that_keeps_no_row_is_taken(
    stream: DataFrame, table: DataFrame, change: Change
) -> None:
    check_plan(change(stream, table), is_by_tasks=False)
