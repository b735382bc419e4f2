"""Reads whole topics, or the partitions that a consumer was assigned."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from lib.errors import SourceError
from lib.kafka.admin import refuse_missing_topics
from lib.kafka.cluster import Cluster

#: The options that the consumer of :func:`iter_until_end` needs. Brokers hold a fetch at the end of
#: a partition back for half a second by default, and the end is told after that.
TELLS_END = {"enable.partition.eof": True, "fetch.wait.max.ms": 50}
_POLL_S = 0.2
_ANSWER_TIMEOUT_S = 30.0


@contextmanager
def open_reader(
    cluster: Cluster, topics: Sequence[str], start: int = OFFSET_BEGINNING
) -> Iterator[Consumer]:
    """Open a consumer of the committed messages of whole topics, which commits nothing itself.

    Args:
        cluster: the cluster of the topics.
        topics: the names of the topics.
        start: OFFSET_BEGINNING or OFFSET_END.

    Raises:
        KafkaException: the brokers cannot be asked.
        KafkaSetupError: there is no such topic.
    """
    consumer = _build_consumer(cluster)
    try:
        found = consumer.list_topics(timeout=_ANSWER_TIMEOUT_S).topics
        missing = [topic for topic in topics if topic not in found]
        refuse_missing_topics(cluster, missing, may_be_hidden=cluster.signs_in)
        consumer.assign(
            [
                TopicPartition(topic, partition, start)
                for topic in topics
                for partition in found[topic].partitions
            ]
        )
        yield consumer
    finally:
        consumer.close()


@contextmanager
def open_tail(cluster: Cluster, topic: str, count: int) -> Iterator[Consumer]:
    """Open a consumer of the newest messages of a topic, which commits nothing itself.

    Args:
        cluster: the cluster of the topic.
        topic: the name of the topic.
        count: the number of offsets before the ends; see :func:`share_out`.

    Raises:
        KafkaException: the brokers cannot be asked.
        KafkaSetupError: there is no such topic.
    """
    with open_reader(cluster, [topic]) as consumer:
        bounds = {
            it.partition: consumer.get_watermark_offsets(it, timeout=_ANSWER_TIMEOUT_S)
            for it in consumer.assignment()
        }
        shares = share_out({it: end - first for it, (first, end) in bounds.items()}, count)
        consumer.assign([TopicPartition(topic, it, bounds[it][1] - shares[it]) for it in bounds])
        yield consumer


@contextmanager
def naming_topic(topic: str) -> Iterator[None]:
    """Turn Kafka's errors in a block into a :class:`SourceError` that names the topic."""
    try:
        yield
    except KafkaException as error:
        raise SourceError(
            f"topic {topic} cannot be read: {error.args[0].str()}",
            hint="check the brokers, and the right to read the topic",
        ) from error


def share_out(sizes: Mapping[int, int], count: int) -> dict[int, int]:
    """Share a number of messages out among partitions, as equally as their sizes allow. Pure.

    Args:
        sizes: partition → the number of messages that it has.
        count: the number of messages in all shares together, if there are so many.
    """
    shares, left = {}, count
    smallest_first = sorted(sizes, key=lambda it: (sizes[it], it))
    for position, partition in enumerate(smallest_first):
        shares[partition] = min(sizes[partition], left // (len(sizes) - position))
        left -= shares[partition]
    return shares


def iter_range(
    cluster: Cluster, topic: str, partition: int, start: int, end: int
) -> Iterator[Message]:
    """Yield the committed messages of a partition from one offset up to another (exclusive).

    Raises:
        KafkaException: the brokers refuse to be read, or have no message at the start any more.
    """
    consumer = _build_consumer(cluster, {"auto.offset.reset": "error"})
    try:
        consumer.assign([TopicPartition(topic, partition, start)])
        for event in _iter_events(consumer, lambda: False):
            # The end of the partition counts too: markers of transactions may stand before it.
            if (event.offset() or 0) >= end:
                return
            if event.error() is None:
                yield event
    finally:
        consumer.close()


def _build_consumer(cluster: Cluster, options: Mapping[str, str] | None = None) -> Consumer:
    """Build a consumer of committed messages, which joins no group and commits nothing."""
    return Consumer(
        {
            "log_level": 3,
            **cluster.for_librdkafka(),
            "group.id": f"reader-{uuid.uuid4().hex[:8]}",  # the consumer never joins it
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            **TELLS_END,
            **(options or {}),
        }
    )


def iter_as_they_come(consumer: Consumer, is_stopped: Callable[[], bool]) -> Iterator[Message]:
    """Yield the messages of all assigned partitions, without end.

    Args:
        consumer: a consumer with assigned partitions.
        is_stopped: a function that is called between messages; True ends the reading.

    Raises:
        KafkaException: the brokers refuse to be read.
    """
    return (event for event in _iter_events(consumer, is_stopped) if event.error() is None)


def iter_until_end(
    consumer: Consumer, is_stopped: Callable[[], bool] = lambda: False
) -> Iterator[Message]:
    """Yield the messages of all assigned partitions, up to the ends that these have now.

    Args:
        consumer: a consumer with the options :data:`TELLS_END` and assigned partitions.
        is_stopped: a function that is called between messages; True ends the reading.

    Raises:
        KafkaException: the brokers refuse to be read.
    """
    # Later messages are left to the next reading, or a topic that grows would be read for ever.
    ends: dict[tuple[str | None, int | None], int] = {
        (it.topic, it.partition): consumer.get_watermark_offsets(it, timeout=_ANSWER_TIMEOUT_S)[1]
        for it in consumer.assignment()
    }
    for event in _iter_events(consumer, lambda: is_stopped() or not ends):
        place = (event.topic(), event.partition())
        end, offset = ends.get(place), event.offset() or 0
        if end is None:
            continue
        if event.error() is None and offset < end:
            yield event
        if event.error() is not None or offset + 1 >= end:
            del ends[place]


def _iter_events(consumer: Consumer, is_stopped: Callable[[], bool]) -> Iterator[Message]:
    """Yield messages, and the ends of partitions as messages with an error."""
    while not is_stopped():
        event = consumer.poll(_POLL_S)
        if event is None:
            continue
        error = event.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            yield event
        # The library asks for the group's coordinator, although this reader does not need it.
        elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
            raise KafkaException(error)
