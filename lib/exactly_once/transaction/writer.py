"""Writes messages and the source offsets they answer in one Kafka transaction.

The writer takes Arrow tables of messages; it knows neither Spark nor the contents of records.
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
from lib.messages.tally import Tally, add_tallies, count_messages


@dataclass(frozen=True)
class WriteReport:
    """The result of one call of ``write``.

    Attributes:
        batch_id: Spark's number of the batch.
        written: topic → number of messages.
        already_written: topic → number of messages that an earlier run had committed.
        duration_s: the seconds that the call took.
        tally: the counts of the messages, whoever has written them; None if they are not counted.
        is_spare: whether messages that may be left out were left out; see
            :mod:`lib.exactly_once.spare`.
    """

    batch_id: int
    written: Mapping[str, int]
    already_written: Mapping[str, int]
    duration_s: float
    tally: Tally | None = None
    is_spare: bool = False

    @property
    def answered(self) -> Mapping[str, int]:
        """Topic → number of messages in the batch, whichever run has written them."""
        return add_counts(self.written, self.already_written)

    def add(self, other: WriteReport) -> WriteReport:
        """Return the report of two parts of a batch together."""
        return WriteReport(
            self.batch_id,
            add_counts(self.written, other.written),
            add_counts(self.already_written, other.already_written),
            self.duration_s + other.duration_s,
            add_tallies((self.tally, other.tally)),
            self.is_spare or other.is_spare,
        )


class TransactionalWriter:
    """Writes exactly once, for one query and one driver at a time.

    Guarantee: the messages of a batch and the offsets of the records they answer become visible
    together or not at all, and once, however often the batch is written and whichever process is
    killed. An older writer with the same query name is fenced by :meth:`open`.

    Assumes: readers use ``isolation.level=read_committed``; every message carries the position of
    the record it answers; nobody else commits offsets for the group; offsets are retained longer
    than the query is idle.

    On failure: errors that usually pass are retried with a new producer and the same rows; being
    fenced is final; a message that Kafka refuses for good is final, and nothing of its batch is
    visible. Runs on the driver, one call at a time; see ``lib.exactly_once.commit`` for executors.

    Args:
        settings: the names, addresses and times of the query.
        author: the run that signs the offsets; by default a new one.
        seen: the stamps that the run has seen, if it has had other writers; a different stamp means
            that another run took over. None where this writer is the run's first.
        waits: whether :meth:`open` waits for the end of other writers' transactions on the same
            partitions. Without that, it may read an offset that is committed a moment later.
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
        # The times, by time.monotonic, at which some offsets and all offsets were committed last.
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
        """Partition → the offset that this writer has read or committed last, in order.

        It is known while the writer is closed too. Partitions without an offset are absent.
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
            SinkRetryExhaustedError: several attempts failed.
        """
        self._retrying.take_up()
        self._retrying.run("opening the producer", lambda producer: None)

    def claim(self, offsets: Offsets, *, query_id: str) -> None:
        """Commit offsets of the group under this run's stamp.

        An older run that comes back from a pause reads the stamp before it fences anybody, and
        stops. Offsets never move backwards.

        Args:
            offsets: partition → offset; other partitions keep their offsets.
            query_id: Spark's id of the query, for the stamp.

        Raises:
            SinkError: see :meth:`write`.
        """
        stamp = self._author.sign(query_id, CLAIM).to_metadata()
        producer, _, _ = self._retrying.run(
            "taking over the group",
            lambda producer: self._transact(producer, None, offsets, stamp, is_claim=True),
        )
        self._retrying.keep(producer)

    def renew(self, offsets: Offsets, *, query_id: str, is_last: bool = False) -> None:
        """Commit unchanged offsets again, so that their stamps say that this run is alive.

        Args:
            offsets: partition → offset, for partitions that nobody else commits meanwhile.
            query_id: Spark's id of the query, for the stamp.
            is_last: whether the stamp says that the run has ended.

        Raises:
            SinkError: see :meth:`write`.
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

    def move(self, offsets: Offsets, *, query_id: str) -> None:
        """Commit exactly these offsets, backwards too: a person wants them.

        Args:
            offsets: partition → offset; other partitions keep their offsets.
            query_id: the text that stands in the stamp for who wants them.

        Raises:
            SinkError: see :meth:`write`.
        """
        stamp = self._author.sign(query_id, CLAIM).to_metadata()

        def commit(producer: TransactionalProducer) -> TransactionalProducer:
            producer.begin()
            producer.send_offsets(offsets, stamp)
            return self._commit(producer, offsets, stamp)

        self._retrying.keep(self._retrying.run("setting the offsets", commit))

    def write(
        self,
        messages: pa.Table | None,
        ends: Offsets,
        *,
        batch_id: int,
        query_id: str,
        starts: Offsets | None = None,
        counted: Offsets | None = None,
        confirm: Callable[[], None] = lambda: None,
    ) -> WriteReport:
        """Write a batch whole or not at all, and once even if it has been written before.

        Args:
            messages: columns of ``lib.messages.columns.MESSAGE_SCHEMA``, the rows of a source
                partition in the order of their offsets; None commits offsets alone.
            ends: partition → end offset of the batch (exclusive).
            batch_id: Spark's number of the batch, for the stamp.
            query_id: Spark's id of the query, for the stamp.
            starts: partition → first offset of the batch; None where messages may answer any
                record before its end.
            counted: partition → the offset below which messages have been counted, for the report;
                None where messages are not counted.
            confirm: a function that is called before offsets are used, at each attempt; its error
                ends the transaction.

        Raises:
            SinkError: a message answers a record that is not in the batch.
            SinkFencedError: another writer has taken over; every later call raises it again.
            SinkRejectedError: Kafka refuses a message for good; every later call raises it again.
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
        tally = count_messages(messages, counted, time.time())
        return WriteReport(batch_id, written, skipped, time.monotonic() - started, tally)

    def give_up(self) -> None:
        """Let calls fail at once, until the next :meth:`open`; from any thread."""
        self._retrying.give_up()

    def forgive(self) -> None:
        """Let batches be written again after Kafka has refused a message that will be left out."""
        self._retrying.forgive()

    def forget(self) -> None:
        """Close the clients and forget all stamps and offsets, as if nothing had been opened."""
        self._retrying.forget()

    def close(self) -> None:
        """Close the clients. The next writer or the broker's timeout aborts an open transaction."""
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
        """Begin, produce, send offsets, commit; return the producer with the new offsets."""
        committed = producer.committed
        topic = self._settings.source_topic
        refuse_loop(messages, topic)
        fresh, skipped = drop_committed(messages, committed, ends, starts, topic)
        targets = {
            # Idle partitions too, because offsets expire one by one. Offsets never move backwards.
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
            producer.abort()  # readers would wait for its timeout
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
        """Commit a transaction that holds these offsets; return the producer with them."""
        self._retrying.note_commit()
        producer.commit()
        self.committed_s = time.monotonic()
        return replace(
            producer,
            committed={**producer.committed, **targets},
            stamps={**producer.stamps, **dict.fromkeys(targets, stamp)},
        )
