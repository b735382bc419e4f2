"""Reads what the scoring job has written, as a line of JSON for each message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, Message

from lib.errors import SourceError
from lib.kafka.reading import iter_as_they_come, iter_until_end, open_reader
from lib.messages.dead_letter import DeadLetter, Headers, write_original
from lib.settings.jobs.consume import ConsumeSettings


def iter_lines(settings: ConsumeSettings, is_stopped: Callable[[], bool]) -> Iterator[str]:
    """Yield the committed messages of one topic as lines, in the order of each partition.

    Args:
        settings: the settings, which name the topic, the start and the number of messages.
        is_stopped: a function that is called between messages; True ends the reading.

    Raises:
        KafkaSetupError: there is no such topic.
        SourceError: the topic cannot be read.
    """
    build_line: Callable[[Message], str]
    if settings.show == "predictions":
        topic, build_line = settings.output_topic, build_prediction_line
    else:
        topic = settings.dead_letter_topic
        build_line = partial(build_dead_letter_line, with_original=settings.original)
    start = OFFSET_END if settings.start == "latest" else OFFSET_BEGINNING
    read = iter_as_they_come if settings.is_endless else iter_until_end
    try:
        with open_reader(settings.cluster, [topic], start) as reader:
            for message in islice(read(reader, is_stopped), settings.count):
                yield build_line(message)
    except KafkaException as error:
        raise SourceError(
            f"topic {topic} cannot be read: {error.args[0].str()}",
            hint="check the brokers, and the right to read the topic",
        ) from error


def build_prediction_line(message: Message) -> str:
    """Return the prediction exactly as it is in the topic."""
    return (message.value() or b"").decode(errors="replace")


def build_dead_letter_line(message: Message, *, with_original: bool = False) -> str:
    """Describe why the record of a dead letter was not scored, with the fields of the envelope.

    Args:
        message: the dead letter, in either format; if it has neither, the line says so.
        with_original: whether to add the record's key and value, as text or base64; otherwise only
            the error quotes the record.
    """
    key, value = message.key(), message.value()
    facts: dict[str, Any]
    try:
        headers = cast("Headers", message.headers())  # consumers give this type
        letter = DeadLetter.from_message(key, value, headers)
    except ValueError as error:
        place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        facts = {"unreadable": f"{place}: {error}"}
    else:
        key, value = letter.key, letter.value
        facts = {
            "source_topic": letter.source_topic,
            "source_partition": letter.source_partition,
            "source_offset": letter.source_offset,
            "failed_ts": letter.failed_ts,
            "error_type": letter.error_type,
            "error_message": letter.message,
            "retry_count": letter.retry_count,
        }
    if with_original:
        facts["original_key"], facts["original_key_encoding"] = write_original(key)
        facts["original_message"], facts["original_encoding"] = write_original(value)
    return json.dumps(facts, ensure_ascii=False)
