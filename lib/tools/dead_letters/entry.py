"""A dead letter with its place in the topic, and its facts for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from lib.messages.dead_letter import DeadLetter, Headers, write_original
from lib.printable import escape

# JSON escapes the control characters below this one itself.
_NOT_PRINTABLE = re.compile(r"[^\x00-\x7e]")


@dataclass(frozen=True)
class Entry:
    """A dead letter where it stands.

    Attributes:
        partition, offset: its place in the topic of dead letters.
        letter: the dead letter.
        written: Kafka's timestamp of the message; None if it has none, or one that is no time.
    """

    partition: int
    offset: int
    letter: DeadLetter
    written: datetime | None = None

    @classmethod
    def from_message(cls, message: Message) -> Entry:
        """Read a message of the topic.

        Raises:
            ValueError: the message is no dead letter in either format.
        """
        headers = cast("Headers", message.headers())  # consumers give this type
        return cls(
            partition=cast("int", message.partition()),
            offset=cast("int", message.offset()),
            letter=DeadLetter.from_message(message.key(), message.value(), headers),
            written=_read_timestamp(message),
        )

    @property
    def place(self) -> str:
        """The place as ``show`` takes it: ``0@19``."""
        return f"{self.partition}@{self.offset}"

    @property
    def source(self) -> str:
        """The topic of the record and, unless the letter is an envelope, its place there."""
        letter = self.letter
        topic = escape(letter.source_topic)
        if letter.source_partition is None:
            return topic
        return f"{topic} {letter.source_partition}@{letter.source_offset}"

    @property
    def time(self) -> datetime | None:
        """The time when the record failed; when the letter was written, if it does not say."""
        try:
            failed = datetime.fromisoformat(self.letter.failed_ts or "")
        except ValueError:
            return self.written
        return failed if failed.tzinfo is not None else failed.replace(tzinfo=UTC)

    @property
    def order(self) -> tuple[datetime, int, int]:
        """The place of the letter among others of all partitions, the oldest first."""
        return (self.time or datetime.min.replace(tzinfo=UTC), self.partition, self.offset)


def build_facts(letter: DeadLetter) -> dict[str, Any]:
    """Return what a letter says of its record, without the record, by the envelope's names."""
    return {
        "source_topic": letter.source_topic,
        "source_partition": letter.source_partition,
        "source_offset": letter.source_offset,
        "failed_ts": letter.failed_ts,
        "error_type": letter.error_type,
        "error_message": letter.message,
        "retry_count": letter.retry_count,
    }


def build_original(key: bytes | None, value: bytes | None) -> dict[str, Any]:
    """Return the key and the value of a record, each as text or base64."""
    original_key, key_encoding = write_original(key)
    original, encoding = write_original(value)
    return {
        "original_key": original_key,
        "original_key_encoding": key_encoding,
        "original_message": original,
        "original_encoding": encoding,
    }


def write_json(facts: Mapping[str, Any]) -> str:
    r"""Write a line of JSON in which all characters print: others are ``\u…``."""
    text = json.dumps(facts, ensure_ascii=False)
    return text if text.isprintable() else _NOT_PRINTABLE.sub(_spell, text)


def _spell(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]


def format_time(time: datetime | None) -> str:
    """Write a time in UTC to the second; a dash for none."""
    return "–" if time is None else f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _read_timestamp(message: Message) -> datetime | None:
    kind, milliseconds = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1_000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
