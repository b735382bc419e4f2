"""Checks that the source topic is still the one that the run began with."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from lib.errors import SinkTopicChangedError
from lib.kafka.admin import ANSWER_TIMEOUT_S, ask_topic_id
from lib.kafka.retry import ask_until_answered

# A topic that is being recreated is unknown for a moment.
_UNKNOWN_FOR_S = 5.0


class TopicWatch:
    """Asks for a topic's id while a batch is written. Used on the driver, by one thread at a time.

    Guarantee: rows that were read before :meth:`ask` was called are those of the topic with the id
    that :meth:`confirm` has compared. A topic that is deleted and recreated has another id, and its
    offsets begin again: what was committed for the old one says nothing about it.

    Cost: no round trip of its own where there is something to do between the two calls.

    Args:
        admin: the client that asks.
        topic: the source topic.
        topic_id: Kafka's id of the topic when the run began.
    """

    def __init__(self, admin: AdminClient, topic: str, topic_id: str) -> None:
        self._admin = admin
        self._topic = topic
        self._topic_id = topic_id
        self._answer: Callable[[], str] | None = None

    def ask(self) -> None:
        """Ask for the id, without waiting for it. Call it once the rows have been read."""
        self._answer = ask_topic_id(self._admin, self._topic)

    def confirm(self, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Wait for the answer; ask again where there is none. Call it before offsets are used.

        Args:
            timeout_s: the time limit of a question that is asked here.

        Raises:
            SinkTopicChangedError: the topic was deleted, or deleted and recreated.
            KafkaException: the brokers do not tell.
        """

        def find() -> str:
            answer, self._answer = self._answer, None
            return (answer or ask_topic_id(self._admin, self._topic, timeout_s))()

        try:
            found = ask_until_answered(find, _is_unknown, _UNKNOWN_FOR_S)
        except KafkaException as error:
            if not _is_unknown(error.args[0]):
                raise
            raise SinkTopicChangedError(
                f"topic {self._topic} was deleted while the query was running: there is no topic of"
                f" that name, expected topic id {self._topic_id}",
                hint="to read another topic of that name, create it, remove the checkpoint, and"
                " delete the group's offsets if there are any",
            ) from error
        if found != self._topic_id:
            raise SinkTopicChangedError(
                f"topic {self._topic} was deleted and recreated while the query was running: found"
                f" topic id {found}, expected {self._topic_id}"
            )


def _is_unknown(error: KafkaError) -> bool:
    return bool(error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART)
