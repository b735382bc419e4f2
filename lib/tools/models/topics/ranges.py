"""Finds which messages of a topic are read: those of a time, and the newest if they are too many.

The newest are cut off by time and not by number, so that each partition, and with it each key,
gives what belongs to the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from lib.kafka.admin import find_offsets, read_offsets
from lib.kafka.cluster import Cluster
from lib.kafka.reading import iter_range

#: Clocks of machines, and the messages of one transaction, may be so far apart.
MARGIN = timedelta(seconds=60)
_FIRST_LOOK = timedelta(seconds=1)
# A cut that leaves so large a share of what may be read is near enough.
_ENOUGH = 0.9
_RESOLUTION = timedelta(milliseconds=1)


@dataclass(frozen=True)
class TopicRange:
    """The part of a topic that is read.

    Attributes:
        topic: the name of the topic.
        starts: partition → the first offset.
        ends: partition → the offset behind the last one.
        cut: the time from which on messages are read because there are too many before it; None if
            all are read.
    """

    topic: str
    starts: Mapping[int, int]
    ends: Mapping[int, int]
    cut: datetime | None = None

    @property
    def size(self) -> int:
        """The number of offsets, those of markers of transactions too."""
        return sum(max(0, end - self.starts.get(it, end)) for it, end in self.ends.items())

    def iter_messages(self, cluster: Cluster) -> Iterator[Message]:
        """Yield the committed messages, partition by partition.

        Raises:
            KafkaException: the brokers refuse to be read.
        """
        for partition, end in sorted(self.ends.items()):
            start = self.starts.get(partition, end)
            if start < end:
                yield from iter_range(cluster, self.topic, partition, start, end)


def find_range(
    admin: AdminClient, topic: str, since: datetime | None, until: datetime | None
) -> TopicRange:
    """Find the messages that Kafka got from one time up to another.

    Args:
        admin: a client of the cluster.
        topic: the name of the topic.
        since: the first moment; None for the oldest message.
        until: the first moment after; None for the last stable offset.

    Raises:
        KafkaException: the brokers do not tell.
    """
    starts = find_offsets(admin, topic, "earliest" if since is None else since)
    ends = find_offsets(admin, topic, "latest" if until is None else until)
    return TopicRange(topic, starts, ends)


def find_newest(
    admin: AdminClient, topic: str, since: datetime | None, until: datetime | None, most: int
) -> TopicRange:
    """Find the messages of a time or, if they are more than ``most``, the newest of them.

    Args:
        admin: a client of the cluster.
        topic: the name of the topic.
        since: the first moment; None for the oldest message.
        until: the first moment after; None for the last stable offset.
        most: the largest number of offsets.

    Raises:
        KafkaException: the brokers do not tell.
    """
    whole = find_range(admin, topic, since, until)
    if whole.size <= most:
        return whole

    def take_from(moment: datetime) -> TopicRange:
        starts = find_offsets(admin, topic, moment)
        return TopicRange(topic, {**whole.ends, **starts}, whole.ends, moment)

    end = until or datetime.now(UTC) + MARGIN
    return take_from(find_cut(lambda moment: take_from(moment).size, end, most))


def find_cut(count_from: Callable[[datetime], int], end: datetime, most: int) -> datetime:
    """Find the earliest moment from which on there are at most so many messages. Pure.

    Args:
        count_from: a function that counts the messages from a moment on; there are more than
            ``most`` in all.
        end: a moment after the last message.
        most: the largest number of messages.
    """
    too_early, late = end - _FIRST_LOOK, end
    while count_from(too_early) <= most:
        late, too_early = too_early, end - 2 * (end - too_early)
    while late - too_early > _RESOLUTION:
        middle = too_early + (late - too_early) / 2
        count = count_from(middle)
        if count > most:
            too_early = middle
        else:
            late = middle
            if count >= _ENOUGH * most:
                break
    return late


def iter_backwards(
    admin: AdminClient, topic: str, span: tuple[datetime, datetime]
) -> Iterator[TopicRange]:
    """Yield ranges of a topic that go further and further back, from the one of a span on.

    Args:
        admin: a client of the cluster.
        topic: the name of the topic.
        span: the first moment, and the first one after.

    Raises:
        KafkaException: the brokers do not tell.
    """
    since, end = span
    oldest = read_offsets(admin, topic, "earliest")
    ends: Mapping[int, int] = find_offsets(admin, topic, end)
    while any(ends.get(it, at) > at for it, at in oldest.items()):
        found = find_offsets(admin, topic, since)
        starts = {it: min(found.get(it, at), at) for it, at in ends.items()}
        yield TopicRange(topic, starts, ends)
        ends, since = starts, end - 2 * (end - since)
