"""The headers and the envelope of dead letters, and a reader for both, without Spark.

``lib/encode/spark.py`` and ``arrow.py`` write dead letters; tools and tests read them here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from lib.drift.profile import Binning
from lib.errors import name_error
from lib.messages.columns import BINNED_SCHEMA, COUNTED_SCHEMA, MESSAGE_SCHEMA
from lib.messages.effects import Reasons
from lib.messages.header_names import CONNECT_PREFIX, SCORING_PREFIX, TRACE_HEADERS, is_ours
from lib.messages.header_text import Header
from lib.record.contract import Contract
from lib.record.violations import Rule, Violation

#: The message of a dead letter whose record is valid.
NO_PROBABILITY = "the model gave no probability between 0 and 1 for a valid record"

HEADER_TOPIC = CONNECT_PREFIX + "topic"
HEADER_PARTITION = CONNECT_PREFIX + "partition"
HEADER_OFFSET = CONNECT_PREFIX + "offset"
HEADER_STAGE = CONNECT_PREFIX + "stage"
HEADER_CLASS = CONNECT_PREFIX + "exception.class.name"
HEADER_MESSAGE = CONNECT_PREFIX + "exception.message"
HEADER_VIOLATIONS = SCORING_PREFIX + "violations"
HEADER_RETRY_COUNT = SCORING_PREFIX + "retry_count"
HEADER_FAILED_TS = SCORING_PREFIX + "failed_ts"


class Stage(StrEnum):
    """The stage at which a record failed."""

    DECODE = "decode"
    CHECK = "check"
    SCORE = "score"


class ErrorType(StrEnum):
    """The kinds of errors, in the words of the dead-letter envelope."""

    PROCESSING = "processing_error"  # the bytes are no JSON object
    VALIDATION = "validation_error"  # the JSON object breaks the contract
    INFERENCE = "inference_error"  # the record is valid, but the model gave no probability


STAGE_OF = {
    ErrorType.PROCESSING: Stage.DECODE,
    ErrorType.VALIDATION: Stage.CHECK,
    ErrorType.INFERENCE: Stage.SCORE,
}


class DeadLetterFormat(StrEnum):
    """The formats in which a dead letter holds bytes and error."""

    HEADERS = "headers"  # key and value are the original bytes, the error stands in headers
    ENVELOPE = "envelope"  # a JSON value that holds message and error


@dataclass(frozen=True)
class OutputSettings:
    """The topics of messages, and the facts that they hold about their origin.

    Attributes:
        output_topic: the topic of predictions.
        dead_letter_topic: the topic of records that could not be scored.
        consumer_group: the query's name, for the envelope.
        dead_letter_format: original bytes with headers, or a JSON envelope.
        reasons: the reasons that predictions carry; None for none.
        is_counted: whether messages have :data:`lib.messages.columns.TALLY_COLUMNS`.
        carried_headers: the names of the headers that predictions and envelopes take from their
            records. Dead letters of the other format keep all.
        binning: the way in which records are put into bins, if they are counted; None where
            messages have no column of bins.
        shadow_topic: the topic of what shadows answer; empty without any.
    """

    output_topic: str
    dead_letter_topic: str
    consumer_group: str
    dead_letter_format: DeadLetterFormat = DeadLetterFormat.HEADERS
    reasons: Reasons | None = None
    is_counted: bool = False
    carried_headers: tuple[str, ...] = TRACE_HEADERS
    binning: Binning | None = None
    shadow_topic: str = ""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns of messages."""
        if not self.is_counted:
            return tuple(MESSAGE_SCHEMA.names)
        return tuple((COUNTED_SCHEMA if self.binning is None else BINNED_SCHEMA).names)


@dataclass(frozen=True)
class MessageSettings:
    """The settings that the messages of a query have in common.

    Attributes:
        contract: the contract, which names the identifier, the event time and the label.
        output: the topics and the format.
        threshold: the smallest probability that is predicted as the positive label.
        model_version: the model and the backend that score.
    """

    contract: Contract
    output: OutputSettings
    threshold: float
    model_version: str


Headers = Iterable[Header] | None
Value = TypeVar("Value", str, int)


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be scored, read back from either format.

    Attributes:
        key, value: the original bytes.
        error_type, message: the kind and the text of the error.
        violations: all violations of the record.
        source_topic, source_partition, source_offset: the position of the record; the envelope
            holds the topic only.
        retry_count: the number of times that the record was sent again.
        headers: the record's own headers; an envelope has those that are carried.
        failed_ts: the time of the failure, UTC in ISO 8601: that of a prediction's ``processed_ts``
            at the same place; None if the letter does not say.
    """

    key: bytes | None
    value: bytes | None
    error_type: ErrorType
    message: str
    violations: tuple[Violation, ...]
    source_topic: str
    source_partition: int | None
    source_offset: int | None
    retry_count: int
    headers: tuple[Header, ...] = ()
    failed_ts: str | None = None

    @classmethod
    def from_message(cls, key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetter:
        """Read a dead letter.

        Raises:
            ValueError: the message has neither format.
        """
        listed = tuple(headers or ())
        try:
            if any(name == HEADER_STAGE for name, _ in listed):
                return cls._from_headers(key, value, listed)
            if value is None:
                raise ValueError(f"neither a value nor the header {HEADER_STAGE}")
            return cls._from_envelope(key, json.loads(value), listed)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"no dead letter of this project: {name_error(error)}") from error

    @classmethod
    def _from_headers(
        cls, key: bytes | None, value: bytes | None, headers: tuple[Header, ...]
    ) -> DeadLetter:
        text = {name: (content or b"").decode() for name, content in headers if is_ours(name)}
        return cls(
            key=key,
            value=value,
            error_type=ErrorType(text[HEADER_CLASS]),
            message=text[HEADER_MESSAGE],
            violations=_read_violations(json.loads(text[HEADER_VIOLATIONS])),
            source_topic=text[HEADER_TOPIC],
            source_partition=int(text[HEADER_PARTITION]),
            source_offset=int(text[HEADER_OFFSET]),
            retry_count=int(text[HEADER_RETRY_COUNT]),
            headers=tuple(header for header in headers if not is_ours(header[0])),
            failed_ts=text.get(HEADER_FAILED_TS),
        )

    @classmethod
    def _from_envelope(
        cls, key: bytes | None, envelope: dict[str, Any], headers: tuple[Header, ...]
    ) -> DeadLetter:
        return cls(
            key=key,
            value=_read_original(
                envelope.get("original_message"), envelope.get("original_encoding")
            ),
            error_type=ErrorType(envelope["error_type"]),
            message=_take(envelope, "error_message", str),
            violations=_read_violations(envelope["validation_errors"]),
            source_topic=_take(envelope, "source_topic", str),
            source_partition=None,
            source_offset=None,
            retry_count=_take(envelope, "retry_count", int),
            headers=headers,
            failed_ts=None
            if envelope.get("failed_ts") is None
            else _take(envelope, "failed_ts", str),
        )


def write_original(value: bytes | None) -> tuple[str | None, str | None]:
    """Write a record's bytes for JSON: ``original_message`` and ``original_encoding``."""
    if value is None:
        return None, None
    try:
        return value.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"


def _read_original(message: str | None, encoding: str | None) -> bytes | None:
    if message is None:
        return None
    return base64.b64decode(message) if encoding == "base64" else message.encode()


def _read_violations(items: list[dict[str, Any]]) -> tuple[Violation, ...]:
    return tuple(
        Violation(
            _take(item, "field", str),
            Rule(item["rule"]),
            _take(item, "found", str),
            _take(item, "expected", str),
        )
        for item in items
    )


def _take(values: dict[str, Any], name: str, kind: type[Value]) -> Value:
    """Take a value of a type that JSON, which anybody may have written, promises for nothing.

    Raises:
        KeyError: there is no such value.
        TypeError: the value has another type.
    """
    value = values[name]
    if not isinstance(value, kind):
        raise TypeError(f"{name}: found {type(value).__name__}, expected {kind.__name__}")
    return value
