"""Writes to Kafka at least once, with Spark's own sink."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.kafka.cluster import Cluster


def write_at_least_once(messages: DataFrame, cluster: Cluster) -> DataStreamWriter:
    """Return a writer that is not started yet.

    Guarantee: every message is written at least once. After a crash or a retried task some are
    written again, and may come after newer messages of the same key.

    Runs on the executors, one producer for each.
    """
    columns = messages.select("topic", "key", "value", "headers")
    return (
        columns.writeStream.format("kafka")
        .options(**cluster.for_spark())
        .option("includeHeaders", "true")
    )
