"""Sends messages to a topic, as fast as asked for, and accounts for each of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from lib.kafka.cluster import Cluster
from lib.tools.produce import mixture

# After this a message that no broker took counts as failed.
_DELIVERY_TIMEOUT_S = 60.0
# The longest that the loop goes without looking whether it should stop.
_PATIENCE_S = 0.1
# Below this, waiting costs more than being early.
_SHORTEST_WAIT_S = 0.001
# Messages between two looks for failures when there is no time to wait.
_POLL_EVERY = 100
_NOT_ANSWERED = "NO_ANSWER"


@dataclass(frozen=True)
class Target:
    """Where messages go.

    Attributes:
        cluster: that has the topic.
        topic: which exists.
    """

    cluster: Cluster
    topic: str


@dataclass(frozen=True)
class SendReport:
    """What became of the messages.

    Attributes:
        sent: messages taken from the source.
        failures: name of Kafka's error → messages that were not delivered because of it.
        duration_s: from the first message to the last confirmation.
    """

    sent: int
    failures: Mapping[str, int]
    duration_s: float

    @property
    def delivered(self) -> int:
        """Messages that Kafka has confirmed."""
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

    Guarantee: a message that counts as delivered stands in the topic once, in the order of sending
    within its partition (idempotent producer); every other one counts as a failure. Equal keys go
    to the partition where Java's clients put them. Runs in this process.

    Args:
        messages: taken one at a time, each at the moment when it is due.
        target: where to.
        rate: messages per second; 0 for as many as possible.
        is_stopped: asked before each message; True ends the sending, not the waiting.
        on_sent: told of each message when it has been handed to the client.

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
    """Serve the client until the time has come."""
    while (wait_s := due_s - time.monotonic()) > _SHORTEST_WAIT_S and not is_stopped():
        producer.poll(min(wait_s, _PATIENCE_S))


def _hand_over(producer: Producer, topic: str, message: mixture.Message) -> KafkaError | None:
    """Give a message to the client; an error that concerns it alone is returned.

    The queue empties by itself even when no broker answers: messages in it expire.
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
        # Whatever fails is counted by its name; the client's own lines would only repeat it.
        "log_level": 0,
        **target.cluster.for_librdkafka(),
        "enable.idempotence": True,
        # Confirmations one by one would cost more than the sending itself.
        "delivery.report.only.error": True,
    }
