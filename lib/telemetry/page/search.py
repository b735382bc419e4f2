"""Finds the newest answers to the records of a key, among the newest messages of the topics."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from lib.errors import KafkaSetupError
from lib.kafka.cluster import Cluster
from lib.kafka.reading import open_reader
from lib.messages.dead_letter import DeadLetter, Headers, write_original
from lib.telemetry.page.home_partition import find_home_partition

# A search reads so many messages of each topic, for so long, and finds so many.
_MOST_MESSAGES = 200_000
_MOST_S = 5.0
_MOST_FOUND = 5
# Messages are read in blocks, the newest block first.
_BLOCK = 10_000
_POLL_S = 0.2
_WATERMARKS_S = 5.0


@dataclass(frozen=True)
class Topic:
    """A topic that is searched.

    Attributes:
        name: the topic.
        kind: ``prediction`` or ``dead letter``.
    """

    name: str
    kind: str


@dataclass
class _Budget:
    """The messages and the time that a search has left for a topic."""

    messages: int
    deadline_s: float

    @property
    def is_spent(self) -> bool:
        return self.messages <= 0 or time.monotonic() > self.deadline_s


class RecordSearch:
    """Searches by key, one search at a time.

    Args:
        cluster: the brokers.
        topics: the topics that are searched.
        most_messages: the number of messages of each topic that a search reads at most.
    """

    def __init__(
        self, cluster: Cluster, topics: tuple[Topic, ...], most_messages: int = _MOST_MESSAGES
    ) -> None:
        self._cluster = cluster
        self._topics = topics
        self._most_messages = most_messages
        self._lock = threading.Lock()

    def find(self, key: str) -> dict[str, Any]:
        """Find the newest committed messages of a key.

        Returns:
            ``words``, a sentence for the viewer, and ``messages``, the newest of each topic first.
        """
        if not self._lock.acquire(blocking=False):
            return {"words": "Another search is under way; try again in a moment."}
        try:
            return self._find(key.encode())
        except KafkaException as error:
            return {"words": f"The topics cannot be read: {error.args[0].str()}."}
        except KafkaSetupError as error:
            return {"words": f"The topics cannot be read: {error.message}."}
        finally:
            self._lock.release()

    def _find(self, key: bytes) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        is_complete = True
        for topic in self._topics:
            with open_reader(self._cluster, [topic.name], OFFSET_END) as consumer:
                budget = _Budget(self._most_messages, time.monotonic() + _MOST_S)
                messages, has_all = _search_topic(consumer, topic.name, key, budget)
            found += [_describe(topic, message) for message in messages]
            is_complete &= has_all or bool(messages)
        if found:
            words = "Found, the newest first." if len(found) > 1 else "Found."
        elif is_complete:
            words = "Neither topic has a message with this key."
        else:
            words = (
                f"Not among the newest {self._most_messages:,} messages of each topic, which is as"
                f" far as the page looks within {_MOST_S:.0f} s; jobs/consume.py reads all."
            )
        return {"words": words, "messages": found}


def _search_topic(
    consumer: Consumer, topic: str, key: bytes, budget: _Budget
) -> tuple[list[Message], bool]:
    """Return the newest messages of a key, and whether all partitions were read to their begin."""
    numbers = sorted(it.partition for it in consumer.assignment())
    home = find_home_partition(key, len(numbers))
    open_ends = {}
    for number in numbers:
        low, high = consumer.get_watermark_offsets(
            TopicPartition(topic, number), timeout=_WATERMARKS_S
        )
        if high > low:
            open_ends[number] = (low, high)
    # If the topic has always had as many partitions, the key is in its home and nowhere else.
    # Otherwise the others are read too, a block of each in turn.
    for numbers_in_turn in ([home], numbers):
        while not budget.is_spent and (turn := [it for it in numbers_in_turn if it in open_ends]):
            for number in turn:
                low, high = open_ends[number]
                start = max(low, high - _BLOCK)
                found = _read_block(
                    consumer, TopicPartition(topic, number, start), high, key, budget
                )
                if found:
                    return found[: -_MOST_FOUND - 1 : -1], False
                if start == low:
                    del open_ends[number]
                else:
                    open_ends[number] = (low, start)
    return [], not open_ends


def _read_block(
    consumer: Consumer, place: TopicPartition, end: int, key: bytes, budget: _Budget
) -> list[Message]:
    """Return the messages of a key in a block, the oldest first."""
    consumer.assign([place])
    return [message for message in _iter_block(consumer, end, budget) if message.key() == key]


def _iter_block(consumer: Consumer, end: int, budget: _Budget) -> Iterator[Message]:
    while not budget.is_spent:
        for message in consumer.consume(1_000, _POLL_S):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return
            if error is not None and error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise KafkaException(error)
            if (message.offset() or 0) >= end:
                return
            budget.messages -= 1
            yield message


def _describe(topic: Topic, message: Message) -> dict[str, Any]:
    return {
        "kind": topic.kind,
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "at_s": message.timestamp()[1] / 1_000,
        "text": _write_letter(message) if topic.kind == "dead letter" else _write_text(message),
    }


def _write_text(message: Message) -> str:
    text = (message.value() or b"").decode(errors="replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _write_letter(message: Message) -> str:
    try:
        headers = cast("Headers", message.headers())  # consumers give this type
        letter = DeadLetter.from_message(message.key(), message.value(), headers)
    except ValueError:
        return _write_text(message)
    original, encoding = write_original(letter.value)
    facts = {
        "error_type": letter.error_type,
        "error_message": letter.message,
        "violations": [violation.to_dict() for violation in letter.violations],
        "source": f"{letter.source_topic}[{letter.source_partition}]@{letter.source_offset}",
        "failed_ts": letter.failed_ts,
        "retry_count": letter.retry_count,
        "original_message": original,
        "original_encoding": encoding,
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)
