"""At least once to Kafka: Spark's own sink."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.kafka.options import for_spark


def write_at_least_once(
    messages: DataFrame, bootstrap_servers: str, kafka: Mapping[str, str]
) -> DataStreamWriter:
    """A writer, not started yet.

    Guarantee: every message is written at least once. After a crash or a retried task some are
    written again, and may come after newer ones of the same key.

    Runs on the executors, one producer for each.
    """
    columns = messages.select("topic", "key", "value", "headers")
    return (
        columns.writeStream.format("kafka")
        .options(**for_spark(bootstrap_servers, kafka))
        .option("includeHeaders", "true")
    )
