"""Finds how many records have no answer yet, and how old they are."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, TopicPartition

from lib.kafka.cluster import Cluster
from lib.telemetry.figures import Figures

# A look ends after this time, with the partitions that have answered so far.
_LOOK_S = 2.0
_POLL_S = 0.1
# A fetch needs to hold one record only; a larger one is given whole all the same.
_FETCH_BYTES = 16 * 1024


class LagWatch:
    """Puts together how far a query is and how far its topic is.

    Args:
        cluster: the cluster of the topic.
        topic: the topic that the query reads.
        figures: the figures, which know how far the query is, and get the result.
    """

    def __init__(self, cluster: Cluster, topic: str, figures: Figures) -> None:
        self._cluster = cluster
        self._topic = topic
        self._figures = figures
        self._oldest: OldestRecords | None = None

    def note(self, ends: Mapping[int, tuple[int, int]]) -> None:
        """Note an answer of the brokers: partition → (last stable offset, end).

        Raises:
            KafkaException: brokers cannot be asked for records.
        """
        answered = {p: lag.answered for p, lag in self._figures.lag.items()}
        waiting = {
            partition: at
            for partition, (_, end) in ends.items()
            if (at := answered.get(partition)) is not None and at < end
        }
        oldest_s: dict[int, float] = {}
        if waiting:
            if self._oldest is None:
                self._oldest = OldestRecords(self._cluster, self._topic)
            oldest_s = self._oldest.find(waiting)
        self._figures.note_ends(ends, oldest_s)


class OldestRecords:
    """Reads the timestamp of the first record at or behind some positions, with one client.

    Records of open transactions count, because they wait too.

    Args:
        cluster: the cluster of the topic.
        topic: the topic.
    """

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "log_level": 0,
                **cluster.for_librdkafka(),
                "group.id": "oldest-records",  # the consumer never joins it
                "enable.auto.commit": False,
                "isolation.level": "read_uncommitted",
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": _FETCH_BYTES,
                # Nothing is fetched beyond the first records.
                "queued.min.messages": 1,
                "queued.max.messages.kbytes": 1024,
                "fetch.wait.max.ms": 50,
            }
        )

    def find(self, positions: Mapping[int, int]) -> dict[int, float]:
        """Find partition → timestamp in seconds since 1970.

        Args:
            positions: partition → offset; partitions without a record there are left out.

        Raises:
            KafkaException: brokers cannot be asked.
        """
        if not positions:
            return {}
        self._consumer.assign(
            [TopicPartition(self._topic, partition, at) for partition, at in positions.items()]
        )
        found: dict[int, float] = {}
        deadline_s = time.monotonic() + _LOOK_S
        seen: set[int] = set()
        while len(seen) < len(positions) and time.monotonic() < deadline_s:
            for message in self._consumer.consume(len(positions), _POLL_S):
                error = message.error()
                if error is not None:
                    raise KafkaException(error)
                partition = message.partition()
                assert partition is not None
                if partition in seen:
                    continue
                seen.add(partition)
                kind, time_ms = message.timestamp()
                if kind != TIMESTAMP_NOT_AVAILABLE:
                    found[partition] = time_ms / 1_000
        self._consumer.unassign()
        return found
