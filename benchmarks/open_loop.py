"""Send a load that keeps to its schedule whatever the job does, and note when answers arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from benchmarks.telco import CUSTOMER
from benchmarks.topics import PARTITIONS, SEED, encode_records
from lib.background import Background
from lib.errors import SinkError
from lib.kafka.cluster import Cluster
from lib.synth import iter_records
from lib.synth.telco import make_customers
from lib.tools.produce.mixture import Message
from lib.tools.produce.sending import Target, send_messages

_DIFFERENT_CUSTOMERS = 2_000
_POLL_S = 0.1
# The reader asks again at once, so that it does not wait for the broker's timer.
_FETCH_WAIT_MS = 10


class ArrivalReader(Background):
    """A thread that reads committed messages, and notes when each key arrives for the first time.

    It takes one message at a time, as soon as it is there: a client that waits for several messages
    would measure its own waiting.

    Args:
        cluster: the brokers.
        topics: the names of topics with :data:`PARTITIONS` partitions each.

    Attributes:
        arrived_s: number in the key → time at which its first answer was read, by the monotonic
            clock.
        repeated: the number of answers to records that had an answer already.
    """

    def __init__(self, cluster: Cluster, topics: Sequence[str]) -> None:
        super().__init__("arrivals")
        self.arrived_s: dict[int, float] = {}
        self.repeated = 0
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
            for partition in range(PARTITIONS)
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
            return len(self.arrived_s) >= expected

        return self.wait_for(are_answered, timeout_s)

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
        if number in self.arrived_s:
            self.repeated += 1
        else:
            self.arrived_s[number] = now_s


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
    started_s: list[float] = []
    values = encode_records(iter_records(make_customers(_DIFFERENT_CUSTOMERS, SEED), CUSTOMER))

    def iter_messages() -> Iterator[Message]:
        started_s.append(time.monotonic())
        for number in range(records):
            # The sender may ask a millisecond too early, which is as long as some latencies.
            time.sleep(max(0.0, started_s[0] + number / rate - time.monotonic()))
            yield Message(str(number).encode(), values[number % len(values)], None)

    # The producer's own linger time would be part of every latency.
    target = Target(replace(cluster, options={"linger.ms": "0"}), topic)
    report = send_messages(iter_messages(), target, rate=rate)
    if report.delivered != records:
        raise SinkError(
            f"topic {topic}: {records - report.delivered} of {records} records were not delivered",
            hint="check the broker's log and disk",
        )
    return started_s[0]
