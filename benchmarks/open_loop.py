"""Send a load that keeps to its schedule whatever the job does, and note when answers arrive."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

from benchmarks.telco import CUSTOMER
from benchmarks.topics import PARTITIONS, SEED, encode_records
from lib.background import Background
from lib.errors import SinkError
from lib.kafka.cluster import Cluster
from lib.synth import iter_records
from lib.synth.telco import make_customers

_DIFFERENT_CUSTOMERS = 2_000
_POLL_S = 0.1
# The reader asks again at once, so that it does not wait for the broker's timer.
_FETCH_WAIT_MS = 10
# At higher rates than this the sender wakes up this often and sends several records at once, so
# that it takes little of the processor from those that are measured.
_MOST_WAKES_PER_S = 1_000.0
_MOST_AT_ONCE = 10_000
_DELIVERY_TIMEOUT_S = 60.0
_NOT_ARRIVED = 0.0


class ArrivalReader(Background):
    """A thread that reads committed messages, and notes when each key arrives for the first time.

    It takes one message at a time, as soon as it is there: a client that waits for several messages
    would measure its own waiting.

    Args:
        cluster: the brokers.
        topics: the names of the topics.
        records: the number of records that will be sent; their keys are 0, 1, ….
        partitions: the number of partitions of each topic.

    Attributes:
        arrived_s: the time at which the first answer to each record was read, by the monotonic
            clock; 0 for a record without an answer. float64 [n_records].
        answered: the number of records with an answer.
        repeated: the number of answers to records that had an answer already.
    """

    def __init__(
        self, cluster: Cluster, topics: Sequence[str], records: int, partitions: int = PARTITIONS
    ) -> None:
        super().__init__("arrivals")
        # An array: a load of a minute may be millions of records, for which a dict takes gigabytes.
        self.arrived_s = array("d", [_NOT_ARRIVED]) * records
        self.answered = self.repeated = 0
        self._settings = {
            **cluster.for_librdkafka(),
            "group.id": topics[0],  # the reader joins no group
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
            "log_level": 3,
        }
        self._assignment = [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in topics
            for partition in range(partitions)
        ]

    def wait_for_answers(self, expected: int, timeout_s: float, check: Callable[[], None]) -> bool:
        """Wait until enough records are answered; return False if they are not in time.

        Args:
            expected: the number of different records.
            timeout_s: the longest time to wait.
            check: a function that is called now and then, and raises an error if waiting is
                useless.
        """

        def are_answered() -> bool:
            check()
            return self.answered >= expected

        return self.wait_for(are_answered, timeout_s)

    def forget(self) -> None:
        """Forget what has arrived so far."""
        self.arrived_s = array("d", [_NOT_ARRIVED]) * len(self.arrived_s)
        self.answered = 0

    def _run(self) -> None:
        consumer = Consumer(self._settings)
        consumer.assign(self._assignment)
        try:
            while not self._stopped.is_set():
                message = consumer.poll(_POLL_S)
                if message is not None:
                    now_s = time.monotonic()
                    if (error := message.error()) is not None:
                        raise KafkaException(error)
                    self._note(int(message.key() or 0), now_s)
        finally:
            consumer.close()

    def _note(self, number: int, now_s: float) -> None:
        if self.arrived_s[number] != _NOT_ARRIVED:
            self.repeated += 1
        else:
            self.arrived_s[number] = now_s
            self.answered += 1


def send_on_schedule(cluster: Cluster, topic: str, records: int, rate: float) -> float:
    """Send customers with the keys 0, 1, …, record n at n / rate seconds after the first.

    No record is early, and a late record is sent at once, so the schedule holds.

    Args:
        cluster: the brokers.
        topic: the name of an existing topic.
        records: the number of records.
        rate: the records per second.

    Returns:
        The time at which record 0 was due, by the monotonic clock.

    Raises:
        SinkError: some records were not delivered.
    """
    values = encode_records(iter_records(make_customers(_DIFFERENT_CUSTOMERS, SEED), CUSTOMER))
    failures: list[KafkaError] = []
    producer = Producer(
        {
            **cluster.for_librdkafka(),
            # The producer's own linger time would be part of every latency.
            "linger.ms": 0,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "enable.idempotence": True,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, message: failures.append(error),
            "log_level": 3,
        }
    )
    shortest_wait_s = 1 / _MOST_WAKES_PER_S if rate > _MOST_WAKES_PER_S else 0.0
    start_s = time.monotonic()
    sent = 0
    while sent < records:
        wait_s = start_s + sent / rate - time.monotonic()
        if wait_s > 0:
            # A sleep may end a little early, and then the loop sleeps again.
            time.sleep(max(wait_s, shortest_wait_s))
            continue
        end = min(records, sent + _MOST_AT_ONCE, count_due(time.monotonic() - start_s, rate))
        messages = [
            {"key": str(number).encode(), "value": values[number % len(values)]}
            for number in range(sent, end)
        ]
        sent += producer.produce_batch(topic, messages)
        producer.poll(0)
    unsent = producer.flush(_DELIVERY_TIMEOUT_S)
    if unsent or failures:
        raise SinkError(
            f"topic {topic}: {unsent + len(failures)} of {records} records were not delivered",
            hint="check the broker's log and disk",
        )
    return start_s


def count_due(passed_s: float, rate: float) -> int:
    """Count the records that are due so long after the first: record n is due at n / rate."""
    return int(passed_s * rate) + 1
