"""Reads where the batch begins and ends that a query is running.

The query itself is asked, not the files of its checkpoint. Another driver on the same checkpoint
may have replaced the files after Spark has planned the batch, and a larger end would leave out
records that nobody has answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from lib.errors import SinkError
from lib.exactly_once.checkpoint.format import parse_offsets
from lib.exactly_once.offsets.resume import Offsets

# A local property that Spark sets in the thread of a query.
_QUERY_ID = "sql.streaming.queryId"


@dataclass(frozen=True)
class PlannedBatch:
    """The batch that a query is running.

    Attributes:
        query_id: Spark's id of the query.
        starts: partition → first offset; new partitions are absent. None in the query's first
            batch, which begins where its source does.
        ends: partition → end offset (exclusive).
    """

    query_id: str
    starts: Offsets | None
    ends: Offsets


def read_planned_batch(spark: SparkSession, batch_id: int, topic: str) -> PlannedBatch:
    """Ask the query whose thread calls this. It takes a millisecond.

    Args:
        spark: the session that has started the query; the frame of a batch has a clone of it.
        batch_id: the number that ``foreachBatch`` has given.
        topic: the source topic.

    Raises:
        SinkError: no query has called this, or one that runs another batch.
    """
    query_id: str | None = spark.sparkContext.getLocalProperty(_QUERY_ID)
    queries: Any = spark._jsparkSession.streams()
    query = None if query_id is None else queries.get(query_id)
    if query_id is None or query is None:
        raise SinkError(
            f"batch {batch_id} is not written by a running query",
            hint="let Spark call the sink: write_stream(…).start()",
        )
    # org.apache.spark.sql.execution.streaming.runtime.StreamExecutionContext
    context = query.streamingQuery().getLatestExecutionContext()
    if context.batchId() != batch_id:
        raise SinkError(f"the query runs batch {context.batchId()}, expected {batch_id}")
    ends = _read_offsets(context.endOffsets(), topic)
    if ends is None:
        raise SinkError(f"the query has planned no end for batch {batch_id}")
    return PlannedBatch(query_id, _read_offsets(context.startOffsets(), topic), ends)


def _read_offsets(progress: Any, topic: str) -> Offsets | None:
    """Read the offsets of the query's only source from Spark's JSON; None where there are none."""
    if progress.isEmpty():
        return None
    return parse_offsets(progress.values().head().json(), topic)
