"""Watches predictions and dead letters arrive, as any reader of the topics would."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from confluent_kafka import KafkaException, Message

from lib.background import Background
from lib.messages.dead_letter import DeadLetter, Headers
from lib.record.contract import Contract
from lib.record.prediction import Prediction
from lib.tools.demo.topics import Topics, open_consumer

_SHOWN = 8
_POLL_S = 0.1


@dataclass
class Arrivals:
    """What has arrived so far. Written by the watcher's thread, read by others.

    Attributes:
        predictions, dead_letters: how many.
        recent: the newest predictions, newest last.
        letters: what is wrong → the first dead letter of that kind.
        arrived_s: key → when, on the monotonic clock.
    """

    predictions: int = 0
    dead_letters: int = 0
    recent: deque[Prediction] = field(default_factory=lambda: deque(maxlen=_SHOWN))
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    arrived_s: dict[bytes, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Messages of both kinds."""
        return self.predictions + self.dead_letters


class Watcher(Background):
    """A thread that reads both output topics, committed messages only.

    Args:
        topics: where.
        contract: of the records.
    """

    def __init__(self, topics: Topics, contract: Contract) -> None:
        super().__init__("watcher")
        self.arrivals = Arrivals()
        self._topics = topics
        self._contract = contract

    def _run(self) -> None:
        topics = self._topics
        with open_consumer(topics, topics.predictions, topics.dead_letters) as consumer:
            while not self._stopped.is_set():
                message = consumer.poll(_POLL_S)
                if message is not None:
                    self._note(message)

    def _note(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            return
        arrivals = self.arrivals
        arrivals.arrived_s.setdefault(message.key() or b"", time.monotonic())
        value = message.value()
        if message.topic() == self._topics.predictions:
            arrivals.recent.append(Prediction.from_value(value or b"", self._contract))
            arrivals.predictions += 1
        else:
            headers = cast("Headers", message.headers())  # a consumer gives them so
            letter = DeadLetter.from_message(message.key(), value, headers)
            reason = letter.violations[0].rule if letter.violations else letter.error_type
            arrivals.letters.setdefault(reason, letter)
            arrivals.dead_letters += 1
