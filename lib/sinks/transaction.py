"""Writes messages and the source offsets they answer in one Kafka transaction.

Knows nothing of Spark, models or customers: it takes Arrow tables of messages.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException

from lib.errors import (
    SinkError,
    SinkFencedError,
    SinkRetryExhaustedError,
)
from lib.sinks.bounded import StuckError, run_bounded
from lib.sinks.failures import Failure, build_sink_error, classify, is_consequence
from lib.sinks.group_offsets import peek_stamps
from lib.sinks.outbox import add_counts, drop_committed, produce_messages, refuse_loop
from lib.sinks.ownership import find_foreign
from lib.sinks.resume import Offsets
from lib.sinks.session import Hook, ProducerSession, ignore, open_session
from lib.sinks.settings import TransactionSettings
from lib.sinks.stamp import CLAIM, Author, make_run_id

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_BACKOFF_S = 0.2
_DISPOSE_TIMEOUT_S = 5.0


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
        hook: called with the name of each step that was reached; crash tests die in it.
        author: signs the offsets; by default a run of its own.
        seen: the stamps that the run has seen, where its writers come and go; others mean that
            another run took over. None where this writer is the run's first.
        waits: for the end of other writers' transactions on the same partitions, when it opens.
            What is committed may be more than it reads otherwise.
    """

    def __init__(
        self,
        settings: TransactionSettings,
        hook: Hook = ignore,
        *,
        author: Author | None = None,
        seen: Mapping[int, str | None] | None = None,
        waits: bool = True,
    ) -> None:
        self._settings = settings
        self._waits = waits
        self._hook = hook
        self._author = author or Author(make_run_id())
        self._session: ProducerSession | None = None
        self._seen = seen
        self._final: SinkError | None = None
        self._stuck: list[ProducerSession] = []
        self._has_abandoned = False
        self._is_stale = False
        self._is_given_up = threading.Event()

    @property
    def committed(self) -> Mapping[int, int | None]:
        """Partition → the group's committed offset, None where it has none; after :meth:`open`."""
        return self._require_session().committed

    @property
    def stamps(self) -> Mapping[int, str | None]:
        """Partition → metadata of that offset; after :meth:`open`."""
        return self._require_session().stamps

    def open(self) -> None:
        """Fence an older writer, wait for its last transaction to end, read what is committed.

        Raises:
            SinkFencedError: another writer opened at the same moment.
            SinkRejectedError: Kafka refuses the settings for good.
            SinkRetryExhaustedError: Kafka did not answer as it should, several times.
        """
        self._attempt("opening the producer", lambda session: None)

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
        started = time.monotonic()
        stamp = self._author.sign(query_id, CLAIM).to_metadata()
        session, _, _ = self._attempt(
            "taking over the group",
            lambda session: self._transact(session, None, offsets, stamp, is_claim=True),
        )
        self._note_committed(session, time.monotonic() - started)

    def write(
        self, messages: pa.Table | None, ends: Offsets, *, batch_id: int, query_id: str
    ) -> WriteReport:
        """Write a batch that may have been written before: whole or not at all, and once.

        Args:
            messages: columns of ``lib.sinks.columns.MESSAGE_SCHEMA``, the rows of a source
                partition in the order of their offsets; None commits offsets alone.
            ends: partition → end offset of the batch (exclusive).
            batch_id: for the stamp.
            query_id: for the stamp.

        Raises:
            SinkFencedError: another writer has taken over; every later call raises it again.
            SinkRejectedError: Kafka refuses a message for good; likewise.
            SinkRetryExhaustedError: the last of several attempts failed.
        """
        started = time.monotonic()
        stamp = self._author.sign(query_id, batch_id).to_metadata()
        session, written, skipped = self._attempt(
            f"batch {batch_id}", lambda session: self._transact(session, messages, ends, stamp)
        )
        duration_s = time.monotonic() - started
        self._note_committed(session, duration_s)
        return WriteReport(batch_id, written, skipped, duration_s)

    def _note_committed(self, session: ProducerSession, duration_s: float) -> None:
        self._session, self._seen = session, session.stamps
        self._is_stale = duration_s > self._settings.slow_after_s
        if self._is_stale:
            logger.info("transaction was slow, renewing the producer duration_s=%.1f", duration_s)

    def give_up(self) -> None:
        """Let a call under way fail now instead of trying again; from any thread, and for good."""
        self._is_given_up.set()

    def forget(self) -> None:
        """Let go of the clients and of all that was seen: the next opening is a first one."""
        self.close()
        self._seen = self._final = None

    def close(self) -> None:
        """Let go of the clients. An open transaction is aborted by the next writer, or by time."""
        session, self._session, self._is_stale = self._session, None, False
        if session is None:
            return
        try:
            run_bounded(session.dispose, timeout_s=_DISPOSE_TIMEOUT_S, what="closing the producer")
        except StuckError:
            self._stuck.append(session)

    def _transact(
        self,
        session: ProducerSession,
        messages: pa.Table | None,
        ends: Offsets,
        stamp: str,
        *,
        is_claim: bool = False,
    ) -> tuple[ProducerSession, Mapping[str, int], Mapping[str, int]]:
        """One transaction: begin, produce, send offsets, commit. Its result is a new session."""
        committed = session.committed
        refuse_loop(messages, self._settings.source_topic)
        fresh, skipped = drop_committed(messages, committed, ends)
        targets = {
            # Every partition, idle ones too: their offsets expire one by one. Never backwards.
            partition: max(ends.get(partition, 0), committed.get(partition) or 0)
            for partition in {*ends, *(p for p, offset in committed.items() if offset is not None)}
        }
        is_done = all(committed.get(p) == target for p, target in targets.items())
        if fresh is None and is_done and not is_claim:
            return session, {}, skipped
        session.begin()
        self._hook("begun")
        written = {} if fresh is None else produce_messages(session.producer, fresh)
        self._hook("produced")
        session.send_offsets(targets, stamp)
        self._hook("offsets_sent")
        session.commit()
        self._hook("committed")
        stamps = dict.fromkeys(targets, stamp)
        return replace(session, committed=targets, stamps=stamps), written, skipped

    def _attempt(self, what: str, action: Callable[[ProducerSession], Result]) -> Result:
        """Run ``action`` on an open session; after a transient failure again, on a new one."""
        if self._final is not None:
            raise self._final
        if self._is_stale:
            self.close()
        for attempt in range(1, self._settings.attempts + 1):
            session: ProducerSession | None = None
            started_s = time.monotonic()
            try:
                if self._session is None:
                    opened = self._run(self._open, "init_transactions")
                    self._session, self._seen = opened, opened.stamps
                session = self._session
                started_s = time.monotonic()
                return self._run(partial(action, session), what)
            except StuckError as stuck:
                # Its thread may wake up later and even commit: the next session's producer fences
                # it first and reads the committed offsets after.
                if session is not None:
                    self._stuck.append(session)
                self._session, self._has_abandoned = None, True
                reason = str(stuck)
            except (KafkaException, BufferError) as error:
                first = self._first_error(session, error)
                if first is not None and classify(first) is Failure.REJECTED:
                    self._abort(session)  # after other failures the next producer does it
                self.close()
                reason = self._judge(first, what, error, time.monotonic() - started_s)
            logger.warning("%s failed attempt=%d reason=%s", what, attempt, reason)
            if self._is_given_up.wait(_BACKOFF_S * attempt * (0.5 + random.random())):
                break
        raise SinkRetryExhaustedError(
            f"{what} of query {self._settings.query_name} failed {attempt} times, at last with:"
            f" {reason}"
        )

    def _run(self, call: Callable[[], Result], what: str) -> Result:
        return run_bounded(
            call, timeout_s=self._settings.stuck_after_s, what=what, given_up=self._is_given_up
        )

    def _abort(self, session: ProducerSession | None) -> None:
        if session is not None:
            with suppress(KafkaException, StuckError):
                run_bounded(session.abort, timeout_s=_DISPOSE_TIMEOUT_S, what="aborting")

    def _open(self) -> ProducerSession:
        return open_session(
            self._settings, self._author.run_id, self._seen, self._hook, waits=self._waits
        )

    def _require_session(self) -> ProducerSession:
        if self._session is None:
            raise SinkError("the writer is not open", hint="call open() first")
        return self._session

    def _first_error(self, session: ProducerSession | None, error: Exception) -> KafkaError | None:
        """The error that ended the transaction; whatever is called after it misleads."""
        cause = error.args[0] if error.args else None
        first = cause if isinstance(cause, KafkaError) else None
        if session is None:
            return first
        if is_consequence(first):
            first = session.find_delivery_error() or first
        if first is not None and first.code() == KafkaError._FATAL:
            # A single message says no more than that its producer had failed before.
            first = session.find_fatal() or first
        return first

    def _judge(
        self, first: KafkaError | None, what: str, error: Exception, duration_s: float
    ) -> str:
        """Raise if the failure is final, else return why to try again."""
        if first is None:
            return str(error)
        query = self._settings.query_name
        match classify(first):
            case Failure.FENCED:
                successor = self._find_successor()
                if successor is not None or not self._may_have_fenced_itself(duration_s):
                    self._final = SinkFencedError(
                        f"{what} of query {query}: fenced by {successor or 'another producer'} with"
                        f" the same transactional id ({first.name()})"
                    )
                    raise self._final from error
            case Failure.REJECTED:
                self._final = build_sink_error(f"{what} of query {query}", first, self._settings)
                raise self._final from error
        return f"{first.name()} {first.str()}"

    def _find_successor(self) -> str | None:
        """Who has taken over; a new driver stamps the offsets as soon as it has."""
        found = find_foreign(peek_stamps(self._settings), self._seen or {}, self._author.run_id)
        return found and found[1]

    def _may_have_fenced_itself(self, duration_s: float) -> bool:
        """Whether no other producer need have done it.

        Brokers do so to end a transaction that lasts too long; and a call that was given up as
        stuck may have initialised a producer after all. To open again is safe: another run's stamp
        would end it.
        """
        return self._has_abandoned or duration_s >= self._settings.transaction_timeout_s
