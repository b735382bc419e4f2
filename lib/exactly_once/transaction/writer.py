"""Writes messages and the source offsets they answer in one Kafka transaction.

Knows nothing of Spark, models or records' fields: it takes Arrow tables of messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
from confluent_kafka import Consumer

from lib.errors import SinkError
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.offsets.stamp import CLAIM, Author, make_run_id
from lib.exactly_once.transaction.produce import (
    add_counts,
    drop_committed,
    produce_messages,
    refuse_loop,
)
from lib.exactly_once.transaction.producer import TransactionalProducer
from lib.exactly_once.transaction.retry import RetryingProducer
from lib.exactly_once.transaction.settings import TransactionSettings


@dataclass(frozen=True)
class WriteReport:
    """What one call of ``write`` did.

    Attributes:
        batch_id: Spark's batch.
        written: topic → messages.
        already_written: topic → messages that an earlier run had committed.
        duration_s: of the whole call.
    """

    batch_id: int
    written: Mapping[str, int]
    already_written: Mapping[str, int]
    duration_s: float

    @property
    def answered(self) -> Mapping[str, int]:
        """Topic → messages of the batch, whichever run wrote them."""
        return add_counts(self.written, self.already_written)

    def add(self, other: WriteReport) -> WriteReport:
        """Both parts of a batch together."""
        return WriteReport(
            self.batch_id,
            add_counts(self.written, other.written),
            add_counts(self.already_written, other.already_written),
            self.duration_s + other.duration_s,
        )


class TransactionalWriter:
    """Exactly-once writes for one query and one driver at a time.

    Guarantee: the messages of a batch and the offsets of the records they answer become visible
    together or not at all, and once, however often the batch is written and whichever process is
    killed. An older writer with the same query name is fenced by :meth:`open`.

    Assumes: readers use ``isolation.level=read_committed``; every message carries the position of
    the record it answers; nobody else commits offsets for the group; offsets are retained longer
    than the query is idle.

    On failure: errors that usually pass are retried with a new producer and the same rows; being
    fenced is final; a message that Kafka refuses for good is final, and nothing of its batch is
    visible. Runs where it is called: on the driver, one call at a time.

    Args:
        settings: names, addresses and times.
        author: signs the offsets; by default a run of its own.
        seen: the stamps that the run has seen, where its writers come and go; others mean that
            another run took over. None where this writer is the run's first.
        waits: for the end of other writers' transactions on the same partitions, when it opens.
            What is committed may be more than it reads otherwise.
        reader: a consumer that this writer shares with others; by default it makes its own.
    """

    def __init__(
        self,
        settings: TransactionSettings,
        *,
        author: Author | None = None,
        seen: Mapping[int, str | None] | None = None,
        waits: bool = True,
        reader: Consumer | None = None,
    ) -> None:
        self._settings = settings
        self._on_step = settings.on_step
        self._author = author or Author(make_run_id())
        # When offsets were committed last, and all of them; by time.monotonic.
        self.committed_s = self.committed_all_s = time.monotonic()
        self._retrying = RetryingProducer(
            settings, self._author.run_id, seen, waits=waits, reader=reader
        )

    @property
    def committed(self) -> Mapping[int, int | None]:
        """Partition → the group's committed offset, None where it has none; after :meth:`open`."""
        return self._retrying.producer.committed

    @property
    def known(self) -> dict[int, int]:
        """Partition → the offset that this writer has last read or committed, in order.

        Also while it is not open; without partitions that have no offset.
        """
        known = sorted(self._retrying.known.items())
        return {partition: offset for partition, offset in known if offset is not None}

    @property
    def stamps(self) -> Mapping[int, str | None]:
        """Partition → metadata of that offset; after :meth:`open`."""
        return self._retrying.producer.stamps

    def open(self) -> None:
        """Fence an older writer, wait for its last transaction to end, read what is committed.

        Raises:
            SinkFencedError: another writer opened at the same moment.
            SinkRejectedError: Kafka refuses the settings for good.
            SinkRetryExhaustedError: Kafka did not answer as it should, several times.
        """
        self._retrying.take_up()
        self._retrying.run("opening the producer", lambda producer: None)

    def claim(self, offsets: Offsets, *, query_id: str) -> None:
        """Commit offsets that are or become the group's, under this run's stamp.

        An older run that comes back from a pause reads the stamp before it fences anybody, and
        stops. Offsets never move backwards.

        Args:
            offsets: partition → offset; partitions that are not named keep theirs.
            query_id: for the stamp.

        Raises:
            SinkError: as with :meth:`write`.
        """
        stamp = self._author.sign(query_id, CLAIM).to_metadata()
        producer, _, _ = self._retrying.run(
            "taking over the group",
            lambda producer: self._transact(producer, None, offsets, stamp, is_claim=True),
        )
        self._retrying.keep(producer)

    def renew(self, offsets: Offsets, *, query_id: str, is_last: bool = False) -> None:
        """Commit offsets as they are once more, so that their stamps say that this run is alive.

        Args:
            offsets: partition → offset, only of partitions that nobody else commits meanwhile; the
                others are left alone.
            query_id: for the stamp.
            is_last: whether the stamp says that the run has ended.

        Raises:
            SinkError: as with :meth:`write`.
        """
        author = replace(self._author, lease_s=0) if is_last else self._author
        stamp = author.sign(query_id, CLAIM).to_metadata()

        def commit(producer: TransactionalProducer) -> TransactionalProducer:
            known = producer.committed
            targets = {p: max(at, known.get(p) or 0) for p, at in offsets.items()}
            producer.begin()
            producer.send_offsets(targets, stamp)
            return self._commit(producer, targets, stamp)

        if offsets:
            self._retrying.keep(self._retrying.run("keeping the query", commit))

    def write(
        self,
        messages: pa.Table | None,
        ends: Offsets,
        *,
        batch_id: int,
        query_id: str,
        starts: Offsets | None = None,
        confirm: Callable[[], None] = lambda: None,
    ) -> WriteReport:
        """Write a batch that may have been written before: whole or not at all, and once.

        Args:
            messages: columns of ``lib.messages.columns.MESSAGE_SCHEMA``, the rows of a source
                partition in the order of their offsets; None commits offsets alone.
            ends: partition → end offset of the batch (exclusive).
            batch_id: for the stamp.
            query_id: for the stamp.
            starts: partition → first offset of the batch; None where messages may answer any
                record before its end.
            confirm: called before offsets are used, at each attempt; what it raises ends the
                transaction.

        Raises:
            SinkError: a message answers a record that is not in the batch.
            SinkFencedError: another writer has taken over; every later call raises it again.
            SinkRejectedError: Kafka refuses a message for good; likewise.
            SinkRetryExhaustedError: the last of several attempts failed.
        """
        started = time.monotonic()
        stamp = self._author.sign(query_id, batch_id).to_metadata()
        producer, written, skipped = self._retrying.run(
            f"batch {batch_id}",
            lambda producer: self._transact(
                producer, messages, ends, stamp, confirm, starts=starts
            ),
        )
        self._retrying.keep(producer)
        return WriteReport(batch_id, written, skipped, time.monotonic() - started)

    def give_up(self) -> None:
        """Let calls fail now instead of trying again, until the next :meth:`open`; any thread."""
        self._retrying.give_up()

    def forget(self) -> None:
        """Let go of the clients and of all that was seen: the next opening is a first one."""
        self._retrying.forget()

    def close(self) -> None:
        """Let go of the clients. An open transaction is aborted by the next writer, or by time."""
        self._retrying.close()

    def _transact(
        self,
        producer: TransactionalProducer,
        messages: pa.Table | None,
        ends: Offsets,
        stamp: str,
        confirm: Callable[[], None] = lambda: None,
        *,
        starts: Offsets | None = None,
        is_claim: bool = False,
    ) -> tuple[TransactionalProducer, Mapping[str, int], Mapping[str, int]]:
        """One transaction: begin, produce, send offsets, commit. Its result is a new producer."""
        committed = producer.committed
        topic = self._settings.source_topic
        refuse_loop(messages, topic)
        fresh, skipped = drop_committed(messages, committed, ends, starts, topic)
        targets = {
            # Every partition, idle ones too: their offsets expire one by one. Never backwards.
            partition: max(ends.get(partition, 0), committed.get(partition) or 0)
            for partition in {*ends, *(p for p, offset in committed.items() if offset is not None)}
        }
        is_done = all(committed.get(p) == target for p, target in targets.items())
        if fresh is None and is_done and not is_claim:
            confirm()
            return producer, {}, skipped
        producer.begin()
        self._on_step("begun")
        written: Mapping[str, int] = {}
        if fresh is not None:
            timeout_s = self._settings.transaction_timeout_s
            written = produce_messages(producer.client, fresh, timeout_s)
        self._on_step("produced")
        try:
            confirm()
        except SinkError:
            producer.abort()  # or readers would wait for its time-out
            raise
        producer.send_offsets(targets, stamp)
        self._on_step("offsets_sent")
        done = self._commit(producer, targets, stamp)
        self._on_step("committed")
        self.committed_all_s = self.committed_s
        return done, written, skipped

    def _commit(
        self, producer: TransactionalProducer, targets: Offsets, stamp: str
    ) -> TransactionalProducer:
        """Commit the transaction that holds these offsets; returns the producer as it is then."""
        self._retrying.note_commit()
        producer.commit()
        self.committed_s = time.monotonic()
        return replace(
            producer,
            committed={**producer.committed, **targets},
            stamps={**producer.stamps, **dict.fromkeys(targets, stamp)},
        )
