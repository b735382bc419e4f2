"""Reads the records of a topic for a comparison, as the job reads them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lib.decode.engines.python import decode_value
from lib.kafka.cluster import Cluster
from lib.kafka.connection.connect import connect
from lib.kafka.reading import iter_until_end, naming_topic, open_tail
from lib.record.contract import Contract
from lib.tools.contract.checking import Checked

#: The largest number of records, where nothing else is said.
MOST_RECORDS = 10_000
#: The place of a record, and its value; None for a tombstone.
Value = tuple[str, bytes | None]


def read_topic(cluster: Cluster, topic: str, count: int) -> list[Value]:
    """Read the newest records of a topic, as far as their transactions are committed.

    Each partition gives as many as the others, if it has them, the oldest of these first.

    Args:
        cluster: the cluster of the topic.
        topic: the name of the topic.
        count: the largest number of records.

    Raises:
        KafkaSetupError: the brokers are not reached, or there is no such topic.
        SourceError: the topic cannot be read.
    """
    connect(cluster)  # this reports errors of brokers and login
    with naming_topic(topic), open_tail(cluster, topic, count) as reader:
        return [
            (f"{it.topic()}[{it.partition()}]@{it.offset()}", it.value())
            for it in islice(iter_until_end(reader, lambda: False), count)
        ]


def check_values(values: list[Value], contract: Contract) -> Iterator[Checked]:
    """Check the values of messages against a contract."""
    for place, value in values:
        yield Checked(place, decode_value(value, contract))
