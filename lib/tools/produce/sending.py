"""Sends messages to a topic at a given rate, and counts those that were not delivered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from lib.kafka.cluster import Cluster
from lib.tools.produce import mixture

# After this time a message that no broker has taken counts as failed.
_DELIVERY_TIMEOUT_S = 60.0
# The longest time between two looks whether the sending is stopped.
_PATIENCE_S = 0.1
# A shorter wait is left out: the message is sent a little early.
_SHORTEST_WAIT_S = 0.001
# The number of messages between two looks for failures when there is no rate to keep.
_POLL_EVERY = 100
_NOT_ANSWERED = "NO_ANSWER"


@dataclass(frozen=True)
class Target:
    """The topic that messages go to.

    Attributes:
        cluster: the cluster of the topic.
        topic: the name of an existing topic.
    """

    cluster: Cluster
    topic: str


@dataclass(frozen=True)
class SendReport:
    """The counts of sent and failed messages.

    Attributes:
        sent: the number of messages that were taken from the source.
        failures: name of Kafka's error → number of messages that were not delivered because of it.
        duration_s: the seconds from the first message to the last confirmation.
    """

    sent: int
    failures: Mapping[str, int]
    duration_s: float

    @property
    def delivered(self) -> int:
        """The number of messages that Kafka has confirmed."""
        return self.sent - sum(self.failures.values())


def send_messages(
    messages: Iterable[mixture.Message],
    target: Target,
    *,
    rate: float = 0.0,
    is_stopped: Callable[[], bool] = lambda: False,
    on_sent: Callable[[mixture.Message], None] = lambda message: None,
) -> SendReport:
    """Send messages, then wait until each is delivered or has failed.

    Guarantee: a message that counts as delivered is in the topic once, in the order of sending
    within its partition (idempotent producer); every other one counts as a failure. Equal keys go
    to the partition where Java's clients put them. Runs in this process.

    Args:
        messages: the messages; each is taken when it is due.
        target: the topic.
        rate: messages per second; 0 for as many as possible.
        is_stopped: a function that is called before each message; True ends the sending, but not
            the wait for confirmations.
        on_sent: a function that gets each message when the client has taken it.

    Raises:
        KafkaException: the client cannot go on.
    """
    failures: Counter[str] = Counter()

    def note_failure(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures[error.name()] += 1

    producer = Producer({**_producer_settings(target), "on_delivery": note_failure})
    source = iter(messages)
    started_s = time.monotonic()
    sent = 0
    for number in count():
        _await_turn(producer, started_s + number / rate if rate else 0.0, is_stopped)
        if is_stopped() or (message := next(source, None)) is None:
            break
        error = _hand_over(producer, target.topic, message)
        sent += 1
        if error is not None:
            failures[error.name()] += 1
        elif not rate and number % _POLL_EVERY == 0:
            producer.poll(0)
        on_sent(message)
    unanswered = producer.flush(_DELIVERY_TIMEOUT_S + 5)
    if unanswered:
        failures[_NOT_ANSWERED] += unanswered
    return SendReport(sent, failures, time.monotonic() - started_s)


def _await_turn(producer: Producer, due_s: float, is_stopped: Callable[[], bool]) -> None:
    """Serve the client until the next message is due."""
    while (wait_s := due_s - time.monotonic()) > _SHORTEST_WAIT_S and not is_stopped():
        producer.poll(min(wait_s, _PATIENCE_S))


def _hand_over(producer: Producer, topic: str, message: mixture.Message) -> KafkaError | None:
    """Give a message to the client; return an error that concerns only this message.

    A full queue gets shorter even if no broker answers, because messages in it expire.
    """
    while True:
        try:
            producer.produce(topic, message.value, message.key)
            return None
        except BufferError:
            producer.poll(_PATIENCE_S)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.fatal():
                raise
            return error


def _producer_settings(target: Target) -> dict[str, str | int | float | bool]:
    return {
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "message.timeout.ms": int(_DELIVERY_TIMEOUT_S * 1000),
        "queue.buffering.max.messages": 200_000,
        # Failures are counted by name, and the client's own lines would only repeat them.
        "log_level": 0,
        **target.cluster.for_librdkafka(),
        "enable.idempotence": True,
        # A callback for each confirmation would cost more than the sending itself.
        "delivery.report.only.error": True,
    }
