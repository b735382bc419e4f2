"""Reads ranges of a topic's offsets in Python workers, where Spark's own source cannot.

Spark's Kafka source turns milliseconds into microseconds, and raises where these exceed 64 bits: at
a record whose timestamp a producer wrote in nanoseconds. It cannot pass over that record. Kafka's C
client, in a Python worker, reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

import pyarrow as pa
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message
from pyspark.sql import DataFrame, SparkSession

from lib.exactly_once.offsets.resume import Offsets
from lib.kafka.cluster import Cluster
from lib.kafka.reading import iter_range
from lib.messages.columns import HEADERS_ARROW, SOURCE_TYPES
from lib.messages.header_text import Header

_BATCH_RECORDS = 1_000
_SCHEMA = pa.schema(
    [
        ("source_key", pa.binary()),
        ("source_value", pa.binary()),
        ("source_headers", HEADERS_ARROW),
        ("source_topic", pa.string()),
        ("source_partition", pa.int32()),
        ("source_offset", pa.int64()),
        ("source_timestamp", pa.timestamp("us", tz="UTC")),
    ]
)


def read_ranges(
    spark: SparkSession, cluster: Cluster, topic: str, starts: Offsets, ends: Offsets
) -> DataFrame:
    """Read the committed records of each partition from its start up to its end (exclusive).

    Assumes: confluent-kafka on the executors, and the brokers reachable from there. On failure: a
    task fails if a start was deleted, and Spark tries it again. One task reads each partition, in
    the order of its offsets.

    Args:
        spark: the Spark session.
        cluster: the cluster of the topic.
        topic: the name of the topic.
        starts: partition → first offset; 0 for a partition that is absent.
        ends: partition → end offset.

    Returns:
        The columns of :data:`lib.messages.columns.SOURCE_COLUMNS`. A timestamp that Spark cannot
        hold is null.
    """
    ranges = tuple(
        (partition, starts.get(partition, 0), end)
        for partition, end in sorted(ends.items())
        if end > starts.get(partition, 0)
    )
    tasks = spark.range(0, len(ranges), 1, max(1, len(ranges)))
    schema = ", ".join(f"{name} {kind}" for name, kind in SOURCE_TYPES.items())
    return tasks.mapInArrow(_RangeReader(cluster, topic, ranges), schema)


@dataclass(frozen=True)
class _RangeReader:
    """Reads the ranges whose numbers it gets. Runs in the workers; see ``DataFrame.mapInArrow``."""

    cluster: Cluster = field(repr=False)
    topic: str
    ranges: tuple[tuple[int, int, int], ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                messages = iter_range(self.cluster, self.topic, *self.ranges[number])
                while taken := list(islice(messages, _BATCH_RECORDS)):
                    yield _build_records(taken)


def _build_records(messages: list[Message]) -> pa.RecordBatch:
    columns = {
        "source_key": [message.key() for message in messages],
        "source_value": [message.value() for message in messages],
        "source_headers": [_list_headers(message) for message in messages],
        "source_topic": [message.topic() for message in messages],
        "source_partition": [message.partition() for message in messages],
        "source_offset": [message.offset() for message in messages],
        "source_timestamp": [_find_micros(message) for message in messages],
    }
    return pa.RecordBatch.from_pydict(columns, schema=_SCHEMA)


def _list_headers(message: Message) -> list[Header] | None:
    return cast("list[Header]", message.headers()) or None  # a consumer gives a list


def _find_micros(message: Message) -> int | None:
    kind, milliseconds = message.timestamp()
    micros = milliseconds * 1_000
    is_held = kind != TIMESTAMP_NOT_AVAILABLE and -(2**63) <= micros < 2**63
    return micros if is_held else None
