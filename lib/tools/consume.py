"""Reads what the scoring job has written, as a line of JSON for each message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Message

from lib.kafka.reading import iter_as_they_come, iter_until_end, naming_topic, open_reader
from lib.messages.keys import parse_key
from lib.settings.jobs.consume import ConsumeSettings
from lib.tools.dead_letters.entry import Entry, build_facts, build_original, write_json


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
    keys = frozenset().union(*map(parse_key, settings.key))
    with naming_topic(topic), open_reader(settings.cluster, [topic], start) as reader:
        # All partitions are read for a key: which one has it depends on the client that wrote the
        # topic, and on how many partitions there were at the time.
        messages = (it for it in read(reader, is_stopped) if not keys or it.key() in keys)
        for message in islice(messages, settings.count):
            yield build_line(message)


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
        letter = Entry.from_message(message).letter
    except ValueError as error:
        place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        facts = {"unreadable": f"{place}: {error}"}
    else:
        key, value = letter.key, letter.value
        facts = build_facts(letter)
    return write_json(facts | build_original(key, value) if with_original else facts)
