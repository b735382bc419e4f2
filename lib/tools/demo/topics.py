"""The demonstration's topics: made, read back, removed."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka.admin import AdminClient

from lib.errors import KafkaSetupError
from lib.kafka.reading import iter_until_end, open_reader
from lib.record.contract import Names
from lib.tools.broker import Broker, EmbeddedBroker, create_topics

logger = logging.getLogger(__name__)

_PARTITIONS = 4
# A dead letter has the record's own bytes, up to Kafka's 1 MB, and its headers.
_DEAD_LETTER_SETTINGS = {"max.message.bytes": str(2 * 1024 * 1024)}
_ANSWER_TIMEOUT_S = 30.0
_POLL_S = 0.1
# What was to be removed had not come to be.
_NEVER_THERE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)


@dataclass(frozen=True)
class Topics:
    """Where everything goes.

    Attributes:
        bootstrap_servers: of the broker.
        names: the domain's own.
        prefix: of all names; empty on a broker of our own.
    """

    bootstrap_servers: str
    names: Names
    prefix: str = ""

    @property
    def records(self) -> str:
        """The job's input."""
        return f"{self.prefix}{self.names.input_topic}"

    @property
    def predictions(self) -> str:
        """The job's output."""
        return f"{self.prefix}{self.names.output_topic}"

    @property
    def dead_letters(self) -> str:
        """Where records go that cannot be scored."""
        return f"{self.prefix}{self.names.dead_letter_topic}"

    @property
    def all_names(self) -> set[str]:
        """All three."""
        return {self.records, self.predictions, self.dead_letters}

    @property
    def query_name(self) -> str:
        """The job's name, which is its consumer group."""
        return f"{self.prefix}{self.names.query}"


@contextmanager
def provide_topics(broker: Broker, names: Names) -> Iterator[Topics]:
    """Create the topics; remove them again from a broker that is the user's.

    Raises:
        KafkaSetupError: the broker refuses them.
    """
    is_ours = isinstance(broker, EmbeddedBroker)
    prefix = "" if is_ours else f"demo-{uuid.uuid4().hex[:8]}."
    topics = Topics(broker.bootstrap_servers, names, prefix)
    partitions = dict.fromkeys((topics.records, topics.predictions), _PARTITIONS)
    try:
        create_topics(topics.bootstrap_servers, partitions)
        create_topics(topics.bootstrap_servers, {topics.dead_letters: 1}, _DEAD_LETTER_SETTINGS)
        _await_topics(topics)
        yield topics
    finally:
        if not is_ours:
            _remove(topics)


def _await_topics(topics: Topics) -> None:
    """Wait until whoever asks is told of all topics; that takes a moment longer than creating."""
    admin = AdminClient({"bootstrap.servers": topics.bootstrap_servers, "log_level": 3})
    deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if topics.all_names <= admin.list_topics(timeout=_ANSWER_TIMEOUT_S).topics.keys():
            return
        time.sleep(_POLL_S)
    raise KafkaSetupError(f"{topics.bootstrap_servers} does not show the topics it has created")


def _remove(topics: Topics) -> None:
    admin = AdminClient({"bootstrap.servers": topics.bootstrap_servers, "log_level": 3})
    futures = {
        **admin.delete_topics(list(topics.all_names), operation_timeout=_ANSWER_TIMEOUT_S),
        **admin.delete_consumer_groups([topics.query_name]),
    }
    for name, future in futures.items():
        try:
            future.result(_ANSWER_TIMEOUT_S)
        except KafkaException as failure:
            if failure.args[0].code() not in _NEVER_THERE:
                logger.warning("not removed name=%s error=%s", name, failure)
        except TimeoutError:
            logger.warning("not removed name=%s error=no answer", name)


def read_topic(topics: Topics, topic: str) -> Iterator[Message]:
    """Everything in a topic that is committed, from its beginning to its present end."""
    with open_consumer(topics, topic) as consumer:
        yield from iter_until_end(consumer)


def open_consumer(topics: Topics, *names: str) -> AbstractContextManager[Consumer]:
    """A read_committed consumer of whole topics, from their beginning, that commits nothing.

    Among its messages are errors that tell where a partition ends for now.

    Args:
        topics: names the broker.
        names: of the topics.
    """
    return open_reader({"bootstrap.servers": topics.bootstrap_servers}, names)
