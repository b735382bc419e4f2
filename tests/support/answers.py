"""Read a job's answers as consumers should, with read_committed, and note them in a ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from lib.background import Background
from tests.support.ledger import Ledger
from tests.support.topics import read_headers

_CHUNK = 2_000
_PATIENCE_S = 0.05
_END_TIMEOUT_S = 120.0
_METADATA_TIMEOUT_S = 30.0


@dataclass
class Watch:
    """The answers that readers see after an event.

    Attributes:
        since_s: time of the event, by the clock (``time.time``).
        first_s: seconds from the event to the first answer that was produced after it; None until
            there is one.
        longest_wait_s: the longest time without a new answer while some were due.
    """

    since_s: float
    first_s: float | None = None
    longest_wait_s: float = 0.0


class AnswerReader(Background):
    """A thread that reads both topics from their start and goes on.

    Args:
        bootstrap_servers: address of the broker.
        output_topic, dead_letter_topic: topics that the job writes; their partitions must not
            change.
        ledger: ledger that notes every message.
        shadow_topic: topic of what shadows answer; None for none.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        output_topic: str,
        dead_letter_topic: str,
        ledger: Ledger,
        shadow_topic: str | None = None,
    ) -> None:
        super().__init__("answers")
        self.ledger = ledger
        self._servers = bootstrap_servers
        self._output_topic = output_topic
        self._dead_letter_topic = dead_letter_topic
        self._shadow_topic = shadow_topic
        self._watch = Watch(time.time())
        self._latest_s = time.monotonic()

    def watch(self) -> Watch:
        """Begin a new watch now, in place of the last one."""
        self._watch = Watch(time.time())
        return self._watch

    def read_again(self) -> Ledger:
        """Read both topics completely, from their start to their end, into a new ledger."""
        ledger = self.ledger.blank()
        consumer = self._open(with_ends=True)
        ends: set[tuple[str | None, int | None]] = set()
        count = len(consumer.assignment())
        deadline = time.monotonic() + _END_TIMEOUT_S
        while len(ends) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count - len(ends)} partitions have an end out of reach")
            for message in consumer.consume(_CHUNK, _PATIENCE_S):
                error = message.error()
                if error is None:
                    self._note(ledger, message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ends.add((message.topic(), message.partition()))
                else:
                    raise KafkaException(error)
        consumer.close()
        return ledger

    def _run(self) -> None:
        consumer = self._open(with_ends=False)
        while not self._stopped.is_set():
            self._follow(consumer.consume(_CHUNK, _PATIENCE_S))
        consumer.close()

    def _follow(self, messages: list[Message]) -> None:
        watch, now_s = self._watch, time.time()
        for message in messages:
            error = message.error()
            if error is not None:
                if error.retriable() or error.code() in _TRANSIENT:
                    continue
                raise KafkaException(error)
            self._note(self.ledger, message)
            if watch.first_s is None and message.timestamp()[1] / 1000 > watch.since_s:
                watch.first_s = now_s - watch.since_s
        now_s = time.monotonic()
        if messages or self.ledger.answered >= self.ledger.expected:
            self._latest_s = now_s
        else:
            watch.longest_wait_s = max(watch.longest_wait_s, now_s - self._latest_s)

    def _note(self, ledger: Ledger, message: Message) -> None:
        key, value = message.key(), message.value()
        where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        if message.topic() == self._output_topic:
            ledger.note_prediction(key, value, where, message.timestamp()[1] / 1_000)
            return
        if message.topic() == self._shadow_topic:
            ledger.note_shadow(key, value, where)
            return
        partition = message.partition() or 0
        ledger.note_dead_letter(key, value, read_headers(message), partition, where)

    def _open(self, *, with_ends: bool) -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": "readers-of-the-laboratory",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": with_ends,
                "fetch.wait.max.ms": 50,
                # A broker that was killed is back within seconds, so look often and log nothing.
                "reconnect.backoff.max.ms": 500,
                "metadata.recovery.strategy": "none",
                "log_level": 0,
            }
        )
        partitions = []
        for topic in filter(
            None, (self._output_topic, self._dead_letter_topic, self._shadow_topic)
        ):
            partitions += [TopicPartition(topic, number, 0) for number in _list(consumer, topic)]
        consumer.assign(partitions)
        return consumer


# Errors that a consumer gets while its broker is away; it recovers by itself.
_TRANSIENT = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})


def _list(consumer: Consumer, topic: str) -> list[int]:
    """Return the topic's partitions; a topic that was just created may have none for a moment."""
    deadline = time.monotonic() + _METADATA_TIMEOUT_S
    while time.monotonic() < deadline:
        found = consumer.list_topics(topic, timeout=_METADATA_TIMEOUT_S).topics[topic]
        if found.error is None and found.partitions:
            return sorted(found.partitions)
        time.sleep(_PATIENCE_S)
    raise TimeoutError(f"no partitions of {topic}")
