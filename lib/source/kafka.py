"""Reads a Kafka topic as a streaming DataFrame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lib.errors import SettingsError
from lib.kafka.cluster import Cluster
from lib.kafka.secrets import hide_secrets
from lib.spark.root_cause import find_root_cause

# By Kafka's default a fetch waits 500 ms for more data; the worst latencies come from there.
_FETCH_WAIT_MS = 20
# After each poll Spark asks for the partition's ends, which makes the client drop the records that
# it has fetched beyond it. With Kafka's default of 500 records, most are fetched several times. So
# a poll takes all records of a fetch, which max.partition.fetch.bytes bounds.
_MAX_POLL_RECORDS = 1_000_000
#: The options that all readers of this project have.
FETCH_OPTIONS = {
    "kafka.fetch.max.wait.ms": str(_FETCH_WAIT_MS),
    "kafka.max.poll.records": str(_MAX_POLL_RECORDS),
}


@dataclass(frozen=True)
class KafkaSourceSettings:
    """The settings of a source.

    Attributes:
        cluster: the cluster of the topic.
        topic: the name of the topic.
        starting_offsets: "earliest", "latest" or partition → offset. Spark uses it only if the
            checkpoint holds no position.
        max_offsets_per_trigger: the number of records in the largest micro-batch; None for no
            bound.
        partitions: the partitions that are read; None for all, new ones included.
    """

    cluster: Cluster
    topic: str
    starting_offsets: str | Mapping[int, int]
    max_offsets_per_trigger: int | None
    partitions: frozenset[int] | None = None


def read_stream(spark: SparkSession, settings: KafkaSourceSettings) -> DataFrame:
    """Read the topic as records.

    Records of open and aborted transactions are not read. Records that retention has deleted before
    they were read make the query fail.
    """
    options = {
        **FETCH_OPTIONS,
        **settings.cluster.for_spark(),
        **_choose_partitions(settings),
        "kafka.isolation.level": "read_committed",
        "includeHeaders": "true",
        "failOnDataLoss": "true",
        "startingOffsets": _starting_offsets(settings),
    }
    if settings.max_offsets_per_trigger is not None:
        options["maxOffsetsPerTrigger"] = str(settings.max_offsets_per_trigger)
    return as_records(spark.readStream.format("kafka").options(**options).load())


def check_java_client(spark: SparkSession, cluster: Cluster) -> None:
    """Let Java build a client with the options, and refuse those with which it cannot.

    Without this, a query would fail again and again for a reason that does not pass. Java builds a
    client with its key stores, logins and classes, and gets the first token if it signs in by
    OAuth; it connects to brokers later.

    Raises:
        SettingsError: Java cannot build the client; the error holds its reason, and no secret.
    """
    if not cluster.options:
        return
    jvm: Any = spark._jvm
    build_java_admin(spark, cluster).close(jvm.java.time.Duration.ZERO)


def build_java_admin(spark: SparkSession, cluster: Cluster) -> Any:
    """Build a client of Java's, ``org.apache.kafka.clients.admin.Admin``; close it at the end.

    Raises:
        SettingsError: Java cannot build the client; the error holds its reason, and no secret.
    """
    jvm: Any = spark._jvm
    properties = jvm.java.util.Properties()
    for name, value in cluster.for_spark().items():
        properties.setProperty(name.removeprefix("kafka."), value)
    try:
        return jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
    except Py4JJavaError as error:
        reason = hide_secrets(find_root_cause(error), cluster.for_spark())
        raise SettingsError(
            f"Spark's Kafka client does not take the --kafka options: {reason}",
            hint="correct the option; docs/settings.md says whose names are used",
        ) from None


def as_records(frame: DataFrame) -> DataFrame:
    """Rename the columns of Spark's Kafka source or of a dump of it."""
    columns = ("key", "value", "headers", "topic", "partition", "offset", "timestamp")
    return frame.select(*(F.col(name).alias(f"source_{name}") for name in columns))


def _choose_partitions(settings: KafkaSourceSettings) -> dict[str, str]:
    if settings.partitions is None:
        return {"subscribe": settings.topic}
    return {"assign": json.dumps({settings.topic: sorted(settings.partitions)})}


def _starting_offsets(settings: KafkaSourceSettings) -> str:
    start = settings.starting_offsets
    if isinstance(start, str):
        return start
    return json.dumps({settings.topic: {str(p): offset for p, offset in sorted(start.items())}})
