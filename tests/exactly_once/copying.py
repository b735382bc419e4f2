"""Copy a topic through the exactly-once sink, on a real broker and without a model."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.errors import ResumeRefusedError
from lib.exactly_once.commit.base import ArrowMap
from lib.exactly_once.offsets.stamp import Stamp
from lib.exactly_once.sink import ExactlyOnceSettings, ExactlyOnceSink
from lib.kafka.admin import build_admin, list_partitions
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.messages.columns import HEADERS_TYPE
from tests.conftest import TopicFactory
from tests.support import consumer_groups
from tests.support.topics import Record, produce, read_topic
from tests.support.waiting import wait_until

PARTITIONS = 4
#: This mark is for tests of what holds whether the driver or the executors commit.
COMMITS = pytest.mark.parametrize("commit", ["driver", "executor"])


@dataclass(frozen=True)
class Copying:
    """A query that copies a topic in upper case; keys of failed orders go to a second topic."""

    spark: SparkSession
    settings: ExactlyOnceSettings
    output: str
    failed: str

    def change(self, **changes: Any) -> Copying:
        """Return this query with other settings."""
        return replace(self, settings=replace(self.settings, **changes))

    def build_sink(self, **changes: Any) -> ExactlyOnceSink:
        return ExactlyOnceSink(self.spark, replace(self.settings, **changes))

    def start_sink(self, **changes: Any) -> ExactlyOnceSink:
        return self.build_sink(**changes).start()

    def messages(self, records: DataFrame) -> DataFrame:
        value = F.upper(F.col("source_value").cast("string"))
        return records.select(
            F.when(value == "FAILED", self.failed).otherwise(self.output).alias("topic"),
            F.col("source_key").alias("key"),
            value.alias("value"),
            "source_partition",
            "source_offset",
        )

    def drain(self, **changes: Any) -> ExactlyOnceSink:
        """Start the query, answer all records that are there, and end it."""
        sink = self.start_sink(**changes)
        writer = sink.write_stream(self.messages(sink.read_stream()))
        query = writer.trigger(availableNow=True).start()
        try:
            query.awaitTermination(120)
        finally:
            sink.close()
        return sink

    def die_in_batch(self, *, is_written: bool, **changes: Any) -> None:
        """Start the query, and die in the next batch, before or after it was written to Kafka."""
        sink = self.start_sink(**changes)

        def write(frame: DataFrame, batch_id: int) -> None:
            if is_written:
                sink(frame, batch_id)
            raise RuntimeError("killed here")

        writer = sink.write_stream(self.messages(sink.read_stream())).foreachBatch(write)
        query = writer.trigger(availableNow=True).start()
        wait_until(lambda: not query.isActive)
        sink.close()

    def drain_through(self, change: ArrowMap, **changes: Any) -> ExactlyOnceSink:
        """Start, answer all records with messages that tasks change, end; the query may fail."""
        sink = self.start_sink(**{"commit": "executor", **changes})
        writer = self._write_through(sink, change)
        query = writer.trigger(availableNow=True).start()
        wait_until(lambda: not query.isActive)
        sink.close()
        return sink

    def _write_through(self, sink: ExactlyOnceSink, change: ArrowMap) -> DataStreamWriter:
        headers = F.lit(None).cast(HEADERS_TYPE)
        messages = self.messages(sink.read_stream()).withColumn("headers", headers)
        return sink.write_stream(messages, change)

    def find_acceptance(self, **changes: Any) -> str:
        """Return what the refusal of a start says to pass as ``--accept-offsets``."""
        with pytest.raises(ResumeRefusedError) as refusal:
            self.start_sink(**changes)
        found = re.search(r"--accept-offsets (\S+)$", refusal.value.hint)
        assert found is not None
        return found[1]

    @contextmanager
    def running(
        self, sink: ExactlyOnceSink, trigger: str = "0 seconds"
    ) -> Iterator[StreamingQuery]:
        writer = sink.write_stream(self.messages(sink.read_stream()))
        with self._run(sink, writer.trigger(processingTime=trigger)) as query:
            yield query

    @contextmanager
    def running_through(self, sink: ExactlyOnceSink, change: ArrowMap) -> Iterator[StreamingQuery]:
        """Run a query with messages that tasks change, as long as the ``with`` block lasts."""
        with self._run(sink, self._write_through(sink, change)) as query:
            yield query

    def await_answers(self, query: StreamingQuery, expected: Counter[tuple[bytes, bytes]]) -> None:
        """Wait for the answers, and for the end of their batch.

        Tasks that commit show their answers before the driver knows of them. A stop in between
        would be a failure of the batch.
        """
        wait_until(lambda: self.read() == expected)
        wait_until(lambda: not query.status["isTriggerActive"])

    @contextmanager
    def _run(self, sink: ExactlyOnceSink, writer: DataStreamWriter) -> Iterator[StreamingQuery]:
        query = writer.start()
        try:
            yield query
        finally:
            query.stop()
            sink.close()

    def produce(self, *records: Record) -> None:
        produce(self.settings.bootstrap_servers, self.settings.source_topic, records)

    def read(self) -> Counter[tuple[bytes, bytes]]:
        """Return (key, value) → how often a read_committed reader sees it."""
        topics = (self.output, self.failed)
        servers = self.settings.bootstrap_servers
        found = [m for topic in topics for m in read_topic(servers, topic)]
        return Counter((as_bytes(m.key()), as_bytes(m.value())) for m in found)

    def committed(self, partitions: int = PARTITIONS) -> dict[int, tuple[int, Stamp | None]]:
        """Return partition → offset and stamp, as any tool sees them."""
        with self._group_client() as consumer:
            asked = [TopicPartition(self.settings.source_topic, p) for p in range(partitions)]
            answers = consumer.committed(asked, timeout=60)
        return {a.partition: (a.offset, Stamp.from_metadata(a.metadata)) for a in answers}

    def commit_by_hand(self, offsets: dict[int, int], metadata: str = "") -> None:
        topic = self.settings.source_topic
        with self._group_client() as consumer:
            moved = [TopicPartition(topic, p, offset, metadata) for p, offset in offsets.items()]
            consumer.commit(offsets=moved, asynchronous=False)

    @contextmanager
    def _group_client(self) -> Iterator[Consumer]:
        group = {"group.id": self.settings.query_name, "enable.auto.commit": False}
        consumer = Consumer({"bootstrap.servers": self.settings.bootstrap_servers, **group})
        yield consumer
        consumer.close()


@contextmanager
def small_arrow_batches(spark: SparkSession, records: int) -> Iterator[None]:
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = str(spark.conf.get(name))
    spark.conf.set(name, records)
    try:
        yield
    finally:
        spark.conf.set(name, before)


def delete_group(settings: ExactlyOnceSettings) -> None:
    """Delete the query's group with all of its offsets, if it has any."""
    with suppress(KafkaException):  # two tasks may delete it at once
        consumer_groups.delete_group(settings.bootstrap_servers, settings.query_name)


def delete_records(copying: Copying, before: dict[int, int]) -> None:
    """Delete the oldest records, as retention does.

    Args:
        copying: query whose source topic loses records.
        before: partition → the oldest offset that is left.
    """
    admin = AdminClient({"bootstrap.servers": copying.settings.bootstrap_servers})
    topic = copying.settings.source_topic
    asked = [TopicPartition(topic, partition, offset) for partition, offset in before.items()]
    for answer in admin.delete_records(asked).values():
        answer.result(30)


def add_partition(copying: Copying, *records: Record) -> None:
    """Add one more partition to the source topic, with these records in it."""
    servers, topic = copying.settings.bootstrap_servers, copying.settings.source_topic
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_partitions([NewPartitions(topic, PARTITIONS + 1)])[topic].result(30)
    wait_until(lambda: len(list_partitions(build_admin(Cluster(servers)), topic)) == PARTITIONS + 1)
    producer = Producer({"bootstrap.servers": servers})
    for key, value in records:
        producer.produce(topic, key=key, value=value, partition=PARTITIONS)
    assert producer.flush(30) == 0


def delete_topic(copying: Copying) -> None:
    topic = copying.settings.source_topic
    admin = AdminClient({"bootstrap.servers": copying.settings.bootstrap_servers})
    admin.delete_topics([topic], operation_timeout=30)[topic].result()
    wait_until(lambda: topic not in admin.list_topics(timeout=60).topics)


def recreate_topic(copying: Copying) -> None:
    """Delete the source topic and create it again, empty."""
    delete_topic(copying)
    create_topics(copying.settings.cluster, {copying.settings.source_topic: PARTITIONS})


def find_set_aside(checkpoint: Path) -> list[Path]:
    return sorted(checkpoint.parent.glob("checkpoint.set-aside-*"))


def as_bytes(value: str | bytes | None) -> bytes:
    assert isinstance(value, bytes)
    return value


def build_copying(
    spark: SparkSession, servers: str, topic: TopicFactory, checkpoint: Path
) -> Copying:
    """Build a query with new topics and a new name."""
    settings = ExactlyOnceSettings(
        bootstrap_servers=servers,
        query_name=f"query-{uuid.uuid4().hex[:8]}",
        source_topic=topic(PARTITIONS),
        checkpoint=str(checkpoint),
        max_offsets_per_trigger=300,
        lease_s=0,  # a second run takes over at once; tests of leases set one
    )
    return Copying(spark, settings, topic(2), topic(1))


def orders(first: int, last: int) -> list[Record]:
    return [
        (f"k{n}".encode(), b"failed" if n % 10 == 0 else f"order {n}".encode())
        for n in range(first, last)
    ]


def answers(first: int, last: int) -> Counter[tuple[bytes, bytes]]:
    return Counter((key, (value or b"").upper()) for key, value in orders(first, last))
