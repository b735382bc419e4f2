"""Fill the benchmark's topics, observe them from outside, read them back and remove them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks.telco import CUSTOMER
from lib.errors import SinkError
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics, remove_topics
from lib.synth import encode_record, iter_records
from lib.synth.telco import iter_customers

PARTITIONS = 4
#: This seed draws all customers that are sent.
SEED = 1
_CHUNK_RECORDS = 10_000
_TIMEOUT_S = 60.0
_RETRY_S = 0.05
_NOT_YET = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._NOENT,  # the text is "no leaders found"
}


@dataclass(frozen=True)
class Count:
    """The numbers that a reader finds in the output topics.

    Attributes:
        predictions, dead_letters: the numbers of messages.
        keys: the number of different keys in both topics together.
    """

    predictions: int
    dead_letters: int
    keys: int

    def check(self, records: int) -> str | None:
        """Say what is wrong with the answer to this many records; None if nothing is."""
        answers = self.predictions + self.dead_letters
        if answers == self.keys == records:
            return None
        return f"found {answers} messages with {self.keys} keys, expected {records} of each"


def name_topic(purpose: str) -> str:
    """Return a name that nobody else uses."""
    return f"benchmark-{uuid.uuid4().hex[:8]}.{purpose}"


def encode_records(records: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Return the JSON of customers, each with the present time as its event time."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [encode_record(record, CUSTOMER, event_time=now) for record in records]


def fill_topic(
    cluster: Cluster,
    topic: str,
    records: int,
    on_sent: Callable[[int], None],
    partitions: int = PARTITIONS,
) -> int:
    """Create a topic and send synthetic customers to it; all of them are valid.

    Args:
        cluster: the brokers.
        topic: the name of a topic that does not exist.
        records: the number of records.
        on_sent: a function that gets the number of sent records.
        partitions: the number of partitions of the topic.

    Returns:
        The size of all values in bytes.

    Raises:
        SinkError: some records were not delivered.
    """
    create_topics(cluster, {topic: partitions})
    failures: list[KafkaError] = []
    producer = Producer(
        {
            **cluster.for_librdkafka(),
            "linger.ms": 20,
            "batch.size": 900_000,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, message: failures.append(error),
            "log_level": 3,
        }
    )
    sent = size = 0
    for customers in iter_customers(records, SEED):
        records_sent = list(iter_records(customers, CUSTOMER))
        messages = [
            {"key": str(record["customerID"]), "value": value}
            for record, value in zip(records_sent, encode_records(records_sent), strict=True)
        ]
        queued = producer.produce_batch(topic, messages)
        if queued == len(messages):
            producer.poll(0)
        if queued != len(messages) or len(producer) > 5 * _CHUNK_RECORDS:
            producer.flush(_TIMEOUT_S)
        sent += queued
        size += sum(len(message["value"]) for message in messages)
        on_sent(sent)
    unsent = producer.flush(_TIMEOUT_S)
    if unsent or failures or sent != records:
        raise SinkError(
            f"topic {topic}: {records - sent + unsent + len(failures)} of {records} records were"
            " not delivered",
            hint="check the broker's log and disk",
        )
    return size


class EndWatcher:
    """A watcher of the topics' last stable offsets, up to which read_committed readers can read.

    Args:
        cluster: the brokers.
        topics: the names of the topics.
        partitions: the number of partitions of each topic.
    """

    def __init__(
        self, cluster: Cluster, topics: Sequence[str], partitions: int = PARTITIONS
    ) -> None:
        self._cluster = cluster
        self._admin = self._connect()
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client has no type for it
        self._asked = {
            TopicPartition(topic, partition): latest
            for topic in topics
            for partition in range(partitions)
        }

    def count(self) -> int:
        """Count the messages, and one marker for each partition of each transaction.

        Raises:
            KafkaException: the broker does not answer.
        """
        deadline_s = time.monotonic() + _TIMEOUT_S
        while True:
            answers = self._admin.list_offsets(
                self._asked,
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=_TIMEOUT_S,
            )
            try:
                return sum(future.result().offset for future in answers.values())
            except KafkaException as error:
                # A topic that was made a moment ago has no leader yet.
                if error.args[0].code() not in _NOT_YET or time.monotonic() > deadline_s:
                    raise
            time.sleep(_RETRY_S)
            # A client may believe for minutes that there is no leader.
            self._admin = self._connect()

    def _connect(self) -> AdminClient:
        return build_admin(self._cluster)


Note = Callable[[bytes | str | None, bytes | str | None], None]


def count_messages(
    cluster: Cluster,
    output_topic: str,
    dead_letter_topic: str,
    on_prediction: Note,
    partitions: int = PARTITIONS,
) -> Count:
    """Read both topics from beginning to end, as every read_committed reader does.

    Args:
        cluster: the brokers.
        output_topic: the topic of predictions.
        dead_letter_topic: the topic of dead letters.
        on_prediction: a function that gets key and value of each message of the output topic.
        partitions: the number of partitions of each topic.

    Raises:
        KafkaException: the topics cannot be read.
    """
    keys: set[bytes | str | None] = set()
    predictions = _read_keys(cluster, output_topic, partitions, keys, on_prediction)
    dead_letters = _read_keys(cluster, dead_letter_topic, partitions, keys, lambda key, value: None)
    return Count(predictions, dead_letters, len(keys))


def _read_keys(
    cluster: Cluster,
    topic: str,
    partitions: int,
    keys: set[bytes | str | None],
    on_message: Note,
) -> int:
    consumer = Consumer(
        {
            **cluster.for_librdkafka(),
            "group.id": topic,  # the reader joins no group
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 3,
        }
    )
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    unfinished, messages = set(range(partitions)), 0
    while unfinished:
        for message in consumer.consume(_CHUNK_RECORDS, 0.2):
            error = message.error()
            if error is None:
                messages += 1
                keys.add(message.key())
                on_message(message.key(), message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard(message.partition() or 0)
            else:
                raise KafkaException(error)
    consumer.close()
    return messages


def clean_up(admin: AdminClient, topics: Sequence[str], groups: Sequence[str] = ()) -> None:
    """Delete topics and groups of this benchmark.

    Raises:
        KafkaException: a topic or group still exists. A group that has a member is left without an
            error: a client that was killed is a member until its session times out.
    """
    for failure in remove_topics(admin, topics, groups).values():
        has_member = (
            isinstance(failure, KafkaException)
            and failure.args[0].code() == KafkaError.NON_EMPTY_GROUP
        )
        if not has_member:
            raise failure
