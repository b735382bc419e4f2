"""Sends dead letters to the input topic again, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from lib.codec.messages import HEADER_RETRY_COUNT, DeadLetter, Headers
from lib.errors import SourceError
from lib.kafka.reading import TELLS_END, iter_until_end
from lib.resending.correction import Correction, apply_correction
from lib.resending.selection import Outcome, Selection, name_cause
from lib.sinks.columns import MESSAGE_SCHEMA
from lib.sinks.group_offsets import build_consumer_settings, read_committed
from lib.sinks.settings import TransactionSettings
from lib.sinks.stamp import UNKNOWN_QUERY
from lib.sinks.transaction import TransactionalWriter

# Of one transaction: it ends at whichever comes first.
_PART_MESSAGES = 1_000
_PART_BYTES = 16 * 1024 * 1024

Position = tuple[int, int]


@dataclass
class ResendReport:
    """What became of the dead letters that were read.

    Attributes:
        counts: what is wrong with the record, and what became of the letter → letters.
    """

    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)

    @property
    def outcomes(self) -> Counter[Outcome]:
        """What became of them → letters."""
        totals: Counter[Outcome] = Counter()
        for (_, outcome), count in self.counts.items():
            totals[outcome] += count
        return totals

    @property
    def read(self) -> int:
        """Dead letters that were read."""
        return self.counts.total()

    @property
    def sent(self) -> int:
        """Records that were sent again, or would be."""
        return self.outcomes[Outcome.SENT]

    def add(self, other: ResendReport) -> None:
        """Enter those of another report."""
        self.counts.update(other.counts)


@dataclass
class _Part:
    """What one transaction holds: records to send, and how far the reading was."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    report: ResendReport = field(default_factory=ResendReport)
    size: int = 0

    @property
    def is_full(self) -> bool:
        return self.report.read >= _PART_MESSAGES or self.size >= _PART_BYTES

    def note(self, position: Position, outcome: Outcome, cause: str) -> None:
        partition, offset = position
        self.ends[partition] = offset + 1
        self.report.counts[cause, outcome] += 1

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.size += len(row["value"] or b"")


def resend(
    settings: TransactionSettings,
    selection: Selection,
    correct: Correction | None = None,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
    on_part: Callable[[ResendReport], None] = lambda report: None,
) -> ResendReport:
    """Send dead letters to the topic that their records came from, up to their present end.

    Guarantee: each letter is sent once, however often this is run and killed under the same name,
    for what is sent and how far the reading was are committed in one transaction. Letters that are
    left alone count as read. Of two that run under one name, the older one stops.

    Args:
        settings: ``source_topic`` is that of the dead letters, ``query_name`` the group.
        selection: which of them.
        correct: makes the value to send; without it the record is sent as it was.
        is_stopped: asked between letters; True ends it after the transaction under way.
        on_part: told of the report so far, after each transaction.

    Raises:
        CorrectionError: the correction failed; nothing of its transaction is sent.
        SinkError: Kafka refuses a record, or another process took over.
        SourceError: the dead letters cannot be read.
    """
    writer = TransactionalWriter(settings)
    try:
        writer.open()
        report = ResendReport()
        with _open_reader(settings) as reader:
            messages = _read(reader, settings.source_topic, writer.committed, is_stopped)
            for number, part in enumerate(_iter_parts(messages, selection, correct)):
                table = pa.Table.from_pylist(part.rows, schema=MESSAGE_SCHEMA)
                writer.write(table, part.ends, batch_id=number, query_id=UNKNOWN_QUERY)
                report.add(part.report)
                on_part(report)
        return report
    finally:
        writer.close()


def preview(
    settings: TransactionSettings, selection: Selection, correct: Correction | None = None
) -> ResendReport:
    """What :func:`resend` would do; sends nothing, commits nothing, ends no other process.

    Raises:
        CorrectionError: the correction failed.
        SourceError: the dead letters cannot be read.
    """
    report = ResendReport()
    with _open_reader(settings) as reader:
        with _name_topic(settings.source_topic):
            committed, _ = read_committed(reader, settings)
        messages = _read(reader, settings.source_topic, committed)
        for part in _iter_parts(messages, selection, correct):
            report.add(part.report)
    return report


@contextmanager
def _open_reader(settings: TransactionSettings) -> Iterator[Consumer]:
    """A consumer of the dead letters."""
    reader = Consumer(
        {
            **build_consumer_settings(settings),
            **TELLS_END,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": _PART_BYTES // 1024,
        }
    )
    try:
        yield reader
    finally:
        reader.close()


def _read(
    reader: Consumer,
    topic: str,
    committed: Mapping[int, int | None],
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """From where the last reading ended to the present end."""
    starts = {it: OFFSET_BEGINNING if at is None else at for it, at in committed.items()}
    reader.assign([TopicPartition(topic, it, at) for it, at in starts.items()])
    with _name_topic(topic):
        yield from iter_until_end(reader, is_stopped)


@contextmanager
def _name_topic(topic: str) -> Iterator[None]:
    """Within, what Kafka refuses is raised as a :class:`SourceError`."""
    try:
        yield
    except KafkaException as error:
        raise SourceError(
            f"topic {topic} cannot be read: {error.args[0].str()}",
            hint="check the brokers, and the rights on the topic and on the group --resend-name",
        ) from error


def _iter_parts(
    messages: Iterable[Message], selection: Selection, correct: Correction | None
) -> Iterator[_Part]:
    part = _Part()
    for message in messages:
        _enter(part, message, selection, correct)
        if part.is_full:
            yield part
            part = _Part()
    if part.report.read:
        yield part


def _enter(part: _Part, message: Message, selection: Selection, correct: Correction | None) -> None:
    position = (cast("int", message.partition()), cast("int", message.offset()))
    try:
        headers = cast("Headers", message.headers())  # a consumer gives them so
        letter = DeadLetter.from_message(message.key(), message.value(), headers)
    except ValueError:
        part.note(position, Outcome.UNREADABLE, str(Outcome.UNREADABLE))
        return
    outcome, value = selection.judge(letter), letter.value
    if outcome is Outcome.SENT and correct is not None:
        value = apply_correction(correct, letter, f"[{position[0]}]@{position[1]}")
        outcome = Outcome.NOT_CORRECTED if value is None else outcome
    part.note(position, outcome, name_cause(letter))
    if outcome is Outcome.SENT:
        part.add(_build_row(letter, value, position))


def _build_row(letter: DeadLetter, value: bytes | None, position: Position) -> dict[str, Any]:
    retries = str(letter.retry_count + 1).encode()
    headers = [*letter.headers, (HEADER_RETRY_COUNT, retries)]
    return {
        "topic": letter.source_topic,
        "key": letter.key,
        "value": value,
        "headers": [{"key": name, "value": content} for name, content in headers],
        "source_topic": None,
        "source_partition": position[0],
        "source_offset": position[1],
    }
