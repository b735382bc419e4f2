"""The demonstration's topics: created, read while the job runs, read back, removed."""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import cast

from confluent_kafka import Consumer, KafkaException, Message

from lib.background import Background
from lib.errors import KafkaSetupError
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.kafka.reading import iter_until_end, open_reader
from lib.kafka.topics import await_topics, create_topics, remove_topics
from lib.messages.dead_letter import DeadLetter, Headers
from lib.record.contract import Contract, Names
from lib.record.prediction import Prediction
from lib.tools.broker import Broker, EmbeddedBroker

logger = logging.getLogger(__name__)

_PARTITIONS = 4
#: A dead letter has the record's own bytes, up to Kafka's 1 MB, and its headers.
DEAD_LETTER_SETTINGS = {"max.message.bytes": str(2 * 1024 * 1024)}
_RECENT = 8
_POLL_S = 0.1


@dataclass(frozen=True)
class Topics:
    """The names of the topics and of the query.

    Attributes:
        cluster: the cluster that has them.
        names: the names that the contract gives.
        prefix: the beginning of all names; empty on an embedded broker.
    """

    cluster: Cluster
    names: Names
    prefix: str = ""

    @property
    def records(self) -> str:
        """The topic that the job reads."""
        return f"{self.prefix}{self.names.input_topic}"

    @property
    def predictions(self) -> str:
        """The topic that the job writes predictions to."""
        return f"{self.prefix}{self.names.output_topic}"

    @property
    def dead_letters(self) -> str:
        """The topic that the job writes records to that cannot be scored."""
        return f"{self.prefix}{self.names.dead_letter_topic}"

    @property
    def all_names(self) -> list[str]:
        """The names of the three topics."""
        return [self.records, self.predictions, self.dead_letters]

    @property
    def query_name(self) -> str:
        """The name of the query, which is the job's consumer group."""
        return f"{self.prefix}{self.names.query}"


@contextmanager
def provide_topics(broker: Broker, names: Names) -> Iterator[Topics]:
    """Create the topics; remove them again from a broker that is the user's.

    Raises:
        KafkaSetupError: the broker refuses them.
    """
    is_ours = isinstance(broker, EmbeddedBroker)
    prefix = "" if is_ours else f"demo-{uuid.uuid4().hex[:8]}."
    topics, admin = Topics(broker.cluster, names, prefix), build_admin(broker.cluster)
    partitions = dict.fromkeys((topics.records, topics.predictions), _PARTITIONS)
    try:
        create_topics(broker.cluster, partitions)
        create_topics(broker.cluster, {topics.dead_letters: 1}, DEAD_LETTER_SETTINGS)
        if not await_topics(admin, topics.all_names):
            raise KafkaSetupError(
                f"{broker.bootstrap_servers} does not show the topics it has created"
            )
        yield topics
    finally:
        if not is_ours:
            for name, error in remove_topics(admin, topics.all_names, [topics.query_name]).items():
                logger.warning("not removed name=%s error=%s", name, error)


def read_topic(topics: Topics, topic: str) -> Iterator[Message]:
    """Read the committed messages of a topic, from its beginning to its present end."""
    with open_consumer(topics, topic) as consumer:
        yield from iter_until_end(consumer)


def open_consumer(topics: Topics, *names: str) -> AbstractContextManager[Consumer]:
    """Open a read_committed consumer of whole topics, from their beginning, that commits nothing.

    Among its messages are errors that tell where a partition ends for now.

    Args:
        topics: name the broker.
        names: the names of the topics to read.
    """
    return open_reader(topics.cluster, names)


@dataclass
class Arrivals:
    """The messages that have arrived so far. The reader's thread writes it, others read it.

    Attributes:
        predictions, dead_letters: numbers of messages.
        recent: the newest predictions, newest last.
        letters: kind of fault → the first dead letter of that kind.
        arrived_s: key → time of arrival, on the monotonic clock.
    """

    predictions: int = 0
    dead_letters: int = 0
    recent: deque[Prediction] = field(default_factory=lambda: deque(maxlen=_RECENT))
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    arrived_s: dict[bytes, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of predictions and dead letters together."""
        return self.predictions + self.dead_letters


class ArrivalReader(Background):
    """A thread that reads both output topics, committed messages only.

    Args:
        topics: the topics.
        contract: the contract of the records.
    """

    def __init__(self, topics: Topics, contract: Contract) -> None:
        super().__init__("arrivals")
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
            headers = cast("Headers", message.headers())  # consumers give this type
            letter = DeadLetter.from_message(message.key(), value, headers)
            reason = letter.violations[0].rule if letter.violations else letter.error_type
            arrivals.letters.setdefault(reason, letter)
            arrivals.dead_letters += 1
