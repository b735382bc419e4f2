"""Reads topics to their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

#: What :func:`iter_until_end` needs of its consumer.
TELLS_END = {"enable.partition.eof": True}
_POLL_S = 0.2


def iter_until_end(
    consumer: Consumer, is_stopped: Callable[[], bool] = lambda: False
) -> Iterator[Message]:
    """The messages of all assigned partitions, each to the end that it has when it is reached.

    Args:
        consumer: made with :data:`TELLS_END`, and with partitions assigned.
        is_stopped: asked between messages; True ends the reading.

    Raises:
        KafkaException: the brokers refuse to be read.
    """
    unfinished = {(it.topic, it.partition) for it in consumer.assignment()}
    while unfinished and not is_stopped():
        message = consumer.poll(_POLL_S)
        if message is None:
            continue
        error = message.error()
        place = (message.topic(), message.partition())
        if error is None:
            if place in unfinished:  # what came after the end is for the next reading
                yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            unfinished.discard(place)
        else:
            raise KafkaException(error)
