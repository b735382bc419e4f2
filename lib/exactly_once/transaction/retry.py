"""Tries transactions again, with a new producer, when they fail."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException

from lib.bounded import StuckError, run_bounded
from lib.errors import (
    SinkError,
    SinkFencedError,
    SinkOffsetsGoneError,
    SinkRejectedError,
    SinkRetryExhaustedError,
)
from lib.exactly_once.transaction.failures import Failure, build_sink_error, classify
from lib.exactly_once.transaction.fencing import Fencing
from lib.exactly_once.transaction.producer import TransactionalProducer, open_producer
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import build_admin
from lib.kafka.broker_settings import find_shortest_retention_s

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

#: Name of an error, as librdkafka spells it → number of failed attempts in this process.
FAILED_ATTEMPTS: Counter[str] = Counter()

_BACKOFF_S = 0.2
_DISPOSE_TIMEOUT_S = 5.0
# Kafka's default for offsets and transactional ids, if brokers do not tell theirs.
_DEFAULT_RETENTION_S = 7 * 86_400.0

_HINT_IF_SLOW = (
    "check the brokers; if they are well, they do not take so much within --transaction-timeout:"
    " raise it, or lower --max-offsets-per-trigger or, with --commit executor, --part-bytes"
)


class RetryingProducer:
    """Holds the producer of a writer, and replaces it whenever it cannot be trusted any more.

    It is replaced after a failure that may pass, after a call that got stuck, and before the next
    transaction if its client may have repeated a request: the first copy could reach the broker
    within that transaction. librdkafka does not bump its epoch for each transaction (KIP-890), so
    only a new producer keeps old requests out.

    Args:
        settings: the settings of the writer.
        run_id: the id of this run.
        seen: the stamps that the run has seen; None where this producer is the run's first.
        waits: whether a new producer waits for the end of other writers' transactions.
        reader: a consumer that several writers share; None where each producer has its own.
    """

    def __init__(
        self,
        settings: TransactionSettings,
        run_id: str,
        seen: Mapping[int, str | None] | None,
        *,
        waits: bool,
        reader: Consumer | None,
    ) -> None:
        self._settings = settings
        self._run_id = run_id
        self._seen = seen
        self._waits = waits
        self._reader = reader
        self._producer: TransactionalProducer | None = None
        self._final: SinkError | None = None
        self._has_abandoned = False
        self._is_given_up = threading.Event()
        self._fencing = Fencing(settings, run_id, self._is_given_up)
        # The offsets that were committed last, the time, and whether later ones may have been.
        self._known: Mapping[int, int | None] = {}
        self._known_s = time.time()
        self._may_have_committed = False

    @property
    def producer(self) -> TransactionalProducer:
        """The producer that is open.

        Raises:
            SinkError: none has been opened.
        """
        if self._producer is None:
            raise SinkError("the writer is not open", hint="call open() first")
        return self._producer

    @property
    def known(self) -> Mapping[int, int | None]:
        """Partition → the offset that was committed when a producer was used last."""
        return self._known

    def keep(self, producer: TransactionalProducer) -> None:
        """Keep a producer, with the offsets and stamps that its last transaction has committed."""
        self._producer, self._seen = producer, producer.stamps
        # This clock goes on while the machine is suspended.
        self._known, self._known_s = producer.committed, time.time()
        self._may_have_committed = False

    def note_commit(self) -> None:
        """Note that a commit begins; until it has returned, only the offsets tell its outcome."""
        self._may_have_committed = True

    def give_up(self) -> None:
        """Let calls fail now instead of trying again; from any thread."""
        self._is_given_up.set()

    def take_up(self) -> None:
        """Let calls be tried again after :meth:`give_up`."""
        self._is_given_up.clear()

    def forgive(self) -> None:
        """Let calls be tried again after Kafka has refused a message that will be left out."""
        if isinstance(self._final, SinkRejectedError):
            self._final = None

    def forget(self) -> None:
        """Close the clients and forget all stamps and offsets, as if nothing had been opened."""
        self.close()
        self._seen = self._final = None
        self._known = {}

    def close(self) -> None:
        """Close the clients. The next writer or the broker's timeout aborts an open transaction."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # If this gets stuck, its thread closes the producer when it returns.
            with suppress(StuckError):
                run_bounded(
                    producer.dispose, timeout_s=_DISPOSE_TIMEOUT_S, what="closing the producer"
                )

    def run(self, what: str, action: Callable[[TransactionalProducer], Result]) -> Result:
        """Run ``action`` on an open producer; after a transient failure again, on a new one.

        Args:
            what: the name of the action in messages.
            action: a function that may be run several times, each time with another producer.

        Raises:
            SinkFencedError: another writer has taken over; every later call raises it again.
            SinkRejectedError: Kafka refuses something for good; every later call raises it again,
                unless it may pass.
            SinkRetryExhaustedError: the last of several attempts failed.
        """
        if self._final is not None:
            raise self._final
        self._replace_if_repeated()
        for attempt in range(1, self._settings.attempts + 1):
            producer: TransactionalProducer | None = None
            started_s = time.monotonic()
            try:
                if self._producer is None:
                    self.keep(self._run(self._open, "init_transactions"))
                producer = self.producer
                started_s = time.monotonic()
                result = self._run(partial(action, producer), what, clean_up=producer.dispose)
                self._fencing.note_success()
                return result
            except StuckError as stuck:
                # The stuck thread may return later and even commit. The next producer fences it
                # first, and then reads the committed offsets.
                duration_s = time.monotonic() - started_s
                self._abandon(producer)
                self._may_have_committed = True
                reason, name = str(stuck), "STUCK"
            except (KafkaException, BufferError) as error:
                duration_s = time.monotonic() - started_s
                first = _first_error(producer, error)
                topic = None
                if first is not None and classify(first) is Failure.REJECTED:
                    topic = None if producer is None else producer.find_topic(first)
                    self._abort(producer)  # after other failures the next producer does it
                self.close()
                name = "QUEUE_FULL" if first is None else first.name()
                reason = self._judge(first, what, error, duration_s, topic)
            except BaseException:
                # The producer knows offsets of before a commit that may have happened.
                if self._may_have_committed:
                    self.close()
                raise
            FAILED_ATTEMPTS[name] += 1
            logger.warning("%s failed attempt=%d reason=%s", what, attempt, reason)
            if self._is_given_up.wait(_BACKOFF_S * attempt * (0.5 + random.random())):
                break
        limit_s = self._settings.transaction_timeout_s
        is_slow = duration_s >= limit_s
        raise SinkRetryExhaustedError(
            f"{what} of query {self._settings.query_name} failed {attempt} times, at last with:"
            f" {reason}" + (f", not done within {limit_s:g} s" if is_slow else ""),
            hint=_HINT_IF_SLOW if is_slow else None,
        )

    def _replace_if_repeated(self) -> None:
        loss = None if self._producer is None else self._producer.find_loss()
        if loss is not None:
            logger.info("a request may have been repeated, replacing the producer: %s", loss)
            self.close()

    def _run(
        self, call: Callable[[], Result], what: str, clean_up: Callable[[], object] | None = None
    ) -> Result:
        return run_bounded(
            call,
            timeout_s=self._settings.patience_s,
            what=what,
            given_up=self._is_given_up,
            clean_up=clean_up,
        )

    def _abandon(self, producer: TransactionalProducer | None) -> None:
        """Leave a producer to the thread that is stuck with it, and drop its queued messages.

        That thread closes the producer when it returns. A transaction that it tries to commit has
        been fenced by then.
        """
        self._producer, self._has_abandoned = None, True
        if producer is not None:
            with suppress(StuckError, KafkaException):
                run_bounded(
                    producer.drop_messages, timeout_s=_DISPOSE_TIMEOUT_S, what="dropping messages"
                )

    def _abort(self, producer: TransactionalProducer | None) -> None:
        if producer is not None:
            with suppress(KafkaException, StuckError):
                run_bounded(producer.abort, timeout_s=_DISPOSE_TIMEOUT_S, what="aborting")

    def _open(self) -> TransactionalProducer:
        try:
            return self._open_new()
        except SinkOffsetsGoneError:
            if self._may_have_committed or not self._known or not self._has_expired():
                raise
        # Nothing can have been committed since, and brokers forget offsets that are not used.
        return self._open_new(self._known)

    def _open_new(self, known: Mapping[int, int | None] | None = None) -> TransactionalProducer:
        return open_producer(
            self._settings,
            self._run_id,
            self._seen,
            waits=self._waits,
            reader=self._reader,
            known=known,
        )

    def _has_expired(self) -> bool:
        """Tell whether the offsets are so old that brokers have forgotten them.

        Offsets that are gone sooner were deleted, perhaps on purpose.
        """
        admin = build_admin(self._settings.cluster)
        retention_s = find_shortest_retention_s(admin) or _DEFAULT_RETENTION_S
        return time.time() - self._known_s >= retention_s

    def _judge(
        self,
        first: KafkaError | None,
        what: str,
        error: Exception,
        duration_s: float,
        topic: str | None,
    ) -> str:
        """Raise an error if the failure is final, else return its text."""
        if first is None:
            return str(error)
        query = self._settings.query_name
        match classify(first):
            case Failure.FENCED:
                is_slow = duration_s >= self._settings.transaction_timeout_s
                successor = self._fencing.find_successor(
                    self._seen, is_own_doing=self._has_abandoned or is_slow
                )
                if successor is not None:
                    self._final = SinkFencedError(
                        f"{what} of query {query}: fenced by {successor} with the same"
                        f" transactional id ({first.name()})"
                    )
                    raise self._final from error
            case Failure.REJECTED:
                refusal = build_sink_error(f"{what} of query {query}", first, self._settings, topic)
                if not refusal.is_transient:
                    self._final = refusal
                raise refusal from error
        return f"{first.name()} {first.str()}"


def _first_error(producer: TransactionalProducer | None, error: Exception) -> KafkaError | None:
    """Return the error that ended the transaction; later calls give misleading errors."""
    cause = error.args[0] if error.args else None
    known = cause if isinstance(cause, KafkaError) else None
    return known if producer is None else producer.find_first_error(known)
