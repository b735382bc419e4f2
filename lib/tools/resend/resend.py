"""Sends dead letters to the input topic again, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from lib.exactly_once.offsets.stamp import Author, make_run_id
from lib.exactly_once.transaction.group_offsets import build_consumer_settings
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.reading import TELLS_END, iter_until_end
from lib.messages.columns import MESSAGE_SCHEMA
from lib.tools.resend.correction import Correction
from lib.tools.resend.group import check_start, claim_start, name_topic
from lib.tools.resend.parts import PART_BYTES, ResendReport, iter_parts
from lib.tools.resend.positions import name_reader
from lib.tools.resend.selection import Selection


def resend(
    admin: AdminClient,
    settings: TransactionSettings,
    selection: Selection,
    correct: Correction | None = None,
    *,
    from_beginning: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
    on_part: Callable[[ResendReport], None] = lambda report: None,
) -> ResendReport:
    """Send dead letters to the topic that their records came from, up to their present end.

    Guarantee: each letter is sent once, however often this is run and killed under the same name,
    for what is sent and how far the reading was are committed in one transaction. Letters that are
    left alone count as read. Of two that run under one name, the older one stops. Kafka may forget
    how far the reading was: then nothing is sent.

    Args:
        admin: of the cluster.
        settings: ``source_topic`` is that of the dead letters, ``query_name`` the group.
        selection: which of them.
        correct: makes the value to send; without it the record is sent as it was.
        from_beginning: see :func:`lib.tools.resend.positions.decide_starts`.
        is_stopped: asked between letters; True ends it after the transaction under way.
        on_part: told of the report so far, after each transaction.

    Raises:
        CorrectionError: the correction failed; nothing of its transaction is sent.
        ResendRefusedError: letters might be sent a second time; nothing is sent.
        SinkError: Kafka refuses a record, or another process took over.
        SourceError: the dead letters cannot be read.
    """
    # What is to be refused is refused before another run is ended.
    _, topic_id = check_start(admin, settings, from_beginning=from_beginning, waits=False)
    writer = TransactionalWriter(settings, author=Author(make_run_id(), topic_id))
    try:
        writer.open()
        starts = claim_start(admin, settings, writer, from_beginning=from_beginning)
        query_id = name_reader(len(starts))
        report = ResendReport(ends=dict(starts))
        with _open_reader(settings) as reader:
            messages = _read(reader, settings.source_topic, starts, is_stopped)
            for number, part in enumerate(iter_parts(messages, selection, correct)):
                table = pa.Table.from_pylist(part.rows, schema=MESSAGE_SCHEMA)
                writer.write(table, part.report.ends, batch_id=number, query_id=query_id)
                report.add(part.report)
                on_part(report)
        return report
    finally:
        writer.close()


def preview(
    admin: AdminClient,
    settings: TransactionSettings,
    selection: Selection,
    correct: Correction | None = None,
    *,
    from_beginning: bool = False,
) -> ResendReport:
    """What :func:`resend` would do; sends nothing, commits nothing, ends no other process.

    Raises:
        CorrectionError: the correction failed.
        ResendRefusedError: so would :func:`resend` be.
        SourceError: the dead letters cannot be read.
    """
    starts, _ = check_start(admin, settings, from_beginning=from_beginning, waits=True)
    report = ResendReport(ends=dict(starts))
    with _open_reader(settings) as reader:
        messages = _read(reader, settings.source_topic, starts)
        for part in iter_parts(messages, selection, correct):
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
            "queued.max.messages.kbytes": PART_BYTES // 1024,
        }
    )
    try:
        yield reader
    finally:
        reader.close()


def _read(
    reader: Consumer,
    topic: str,
    starts: Mapping[int, int],
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """From where the last reading ended to the present end."""
    reader.assign([TopicPartition(topic, it, at) for it, at in starts.items()])
    with name_topic(topic):
        yield from iter_until_end(reader, is_stopped)
