"""Writes to Kafka at least once, with Spark's own sink."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.kafka.cluster import Cluster

_COLUMNS = ("topic", "key", "value", "headers")


def write_at_least_once(messages: DataFrame, cluster: Cluster) -> DataStreamWriter:
    """Return a writer that is not started yet.

    Guarantee: every message is written at least once. After a crash or a retried task some are
    written again, and may come after newer messages of the same key.

    Runs on the executors, one producer for each.
    """
    columns = messages.select(*_COLUMNS)
    return columns.writeStream.format("kafka").options(**_options(cluster))


def write_batch_at_least_once(messages: DataFrame, cluster: Cluster) -> None:
    """Write the messages of a batch, with the guarantee of :func:`write_at_least_once`."""
    messages.select(*_COLUMNS).write.format("kafka").options(**_options(cluster)).save()


def _options(cluster: Cluster) -> dict[str, str]:
    return {**cluster.for_spark(), "includeHeaders": "true"}
