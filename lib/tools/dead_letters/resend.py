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
from lib.record.contract import Contract
from lib.tools.dead_letters.group import check_start, claim_start, name_topic
from lib.tools.dead_letters.parts import PART_BYTES, Plan, ResendReport, iter_parts
from lib.tools.dead_letters.positions import name_reader


def resend(
    admin: AdminClient,
    settings: TransactionSettings,
    plan: Plan,
    *,
    from_beginning: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
    on_part: Callable[[ResendReport], None] = lambda report: None,
) -> ResendReport:
    """Send dead letters to the topic that their records came from, up to their present end.

    Guarantee: each letter is sent once, however often this is run and killed under the same name,
    because one transaction commits both the sent records and the offsets that were read. Letters
    that are not chosen count as read. If two runs have one name, the older one stops. If Kafka has
    forgotten the offsets, nothing is sent.

    Args:
        admin: a client of the cluster.
        settings: ``source_topic`` is the dead-letter topic, ``query_name`` the group.
        plan: the choice of letters to send, and what is sent.
        from_beginning: see :func:`lib.tools.dead_letters.positions.decide_starts`.
        is_stopped: a function that is called between letters; True ends the run after the
            transaction under way.
        on_part: a function that gets the report so far, after each transaction.

    Raises:
        CorrectionError: the correction failed; nothing of its transaction is sent.
        ResendRefusedError: letters might be sent a second time; nothing is sent.
        SinkError: Kafka refuses a record, or another process took over.
        SourceError: the dead letters cannot be read.
    """
    # The start is refused, if it has to be, before it ends another run.
    _, topic_id = check_start(admin, settings, from_beginning=from_beginning, waits=False)
    writer = TransactionalWriter(settings, author=Author(make_run_id(), topic_id))
    try:
        writer.open()
        starts = claim_start(admin, settings, writer, from_beginning=from_beginning)
        query_id = name_reader(len(starts))
        report = ResendReport(ends=dict(starts))
        with _open_reader(settings) as reader:
            messages = _read(reader, settings.source_topic, starts, is_stopped)
            for number, part in enumerate(iter_parts(messages, plan)):
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
    plan: Plan,
    *,
    contract: Contract | None = None,
    from_beginning: bool = False,
    waits: bool = True,
    is_stopped: Callable[[], bool] = lambda: False,
) -> ResendReport:
    """Report what :func:`resend` would do, without sending, committing or fencing anything.

    Args:
        admin: a client of the cluster.
        settings: see :func:`resend`.
        plan: the choice of letters to send, and what would be sent.
        contract: the contract that the values to send are checked against; None to check nothing.
        from_beginning: see :func:`lib.tools.dead_letters.positions.decide_starts`.
        waits: whether to wait for an open transaction of another run.
        is_stopped: a function that is called between letters; True ends the reading.

    Raises:
        CorrectionError: the correction failed.
        ResendRefusedError: letters might be sent a second time.
        SourceError: the dead letters cannot be read.
    """
    starts, _ = check_start(admin, settings, from_beginning=from_beginning, waits=waits)
    report = ResendReport(ends=dict(starts))
    with _open_reader(settings) as reader:
        messages = _read(reader, settings.source_topic, starts, is_stopped)
        for part in iter_parts(messages, plan, contract):
            report.add(part.report)
    return report


@contextmanager
def _open_reader(settings: TransactionSettings) -> Iterator[Consumer]:
    """Open a consumer of the dead letters."""
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
    """Read from the given offsets to the present end."""
    reader.assign([TopicPartition(topic, it, at) for it, at in starts.items()])
    with name_topic(topic):
        yield from iter_until_end(reader, is_stopped)
