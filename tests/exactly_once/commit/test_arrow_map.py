"""A map over Arrow batches is prepared once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lib.exactly_once.commit.arrow_map import PreparedMap
from lib.messages.columns import COLLECTED_COLUMNS, MESSAGE_SCHEMA, MESSAGE_TYPES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Answer:
    """A function that answers each row, under the content of its column ``the key``."""

    def __init__(self) -> None:
        self.pickled = 0

    def __getstate__(self) -> dict[str, Any]:
        self.pickled += 1
        return {"pickled": 0}

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [
                {
                    "topic": "answers",
                    "key": row["the key"].encode(),
                    "value": None,
                    "headers": [{"key": "h", "value": b"\xff"}],
                    "source_topic": "questions",
                    "source_partition": row["source_partition"],
                    "source_offset": row["source_offset"],
                }
                for row in batch.to_pylist()
            ]
            yield pa.RecordBatch.from_pylist(rows, schema=MESSAGE_SCHEMA)


@pytest.mark.parametrize("rows", [0, 5])
def test_it_makes_what_spark_makes_and_is_pickled_once(spark: SparkSession, rows: int) -> None:
    names = "`the key` string, source_partition int, source_offset bigint"
    function = Answer()
    prepared = PreparedMap(function, COLLECTED_COLUMNS)
    for start in (0, 100, 200):
        frame = spark.createDataFrame(
            [(f"key {it}", 1, it) for it in range(start, start + rows)], names
        ).coalesce(1)

        made = prepared.apply(frame)

        expected = frame.mapInArrow(Answer(), MESSAGE_TYPES)
        expected = expected.select(*COLLECTED_COLUMNS)
        assert made.schema == expected.schema
        assert made.toArrow() == expected.toArrow()
        assert made.toArrow().num_rows == rows
    assert function.pickled == 1
