"""Transactions that are tried again, on a new producer, when they fail."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from lib.errors import SinkError, SinkFencedError, SinkRetryExhaustedError
from lib.sinks.bounded import StuckError, run_bounded
from lib.sinks.failures import Failure, build_sink_error, classify
from lib.sinks.group_offsets import peek_stamps
from lib.sinks.ownership import find_foreign
from lib.sinks.session import Hook, ProducerSession, open_session
from lib.sinks.settings import TransactionSettings

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_BACKOFF_S = 0.2
_DISPOSE_TIMEOUT_S = 5.0


class Attempts:
    """Holds the producer of a writer, and replaces it whenever it cannot be trusted any more.

    It is replaced after a failure that may pass, after a call that got stuck, and before the next
    transaction if its client may have repeated a request: the first copy could reach the broker
    within that transaction. librdkafka does not bump its epoch for each transaction (KIP-890), so
    only a new producer keeps old requests out.

    Args:
        settings: of the writer.
        run_id: this driver's.
        hook: called at each step.
        seen: the stamps that the run has seen; None where this producer is the run's first.
        waits: for the end of other writers' transactions, when a producer is opened.
    """

    def __init__(
        self,
        settings: TransactionSettings,
        run_id: str,
        hook: Hook,
        seen: Mapping[int, str | None] | None,
        *,
        waits: bool,
    ) -> None:
        self._settings = settings
        self._run_id = run_id
        self._hook = hook
        self._seen = seen
        self._waits = waits
        self._session: ProducerSession | None = None
        self._final: SinkError | None = None
        self._stuck: list[ProducerSession] = []
        self._has_abandoned = False
        self._is_given_up = threading.Event()

    @property
    def session(self) -> ProducerSession:
        """The producer in use.

        Raises:
            SinkError: none has been opened.
        """
        if self._session is None:
            raise SinkError("the writer is not open", hint="call open() first")
        return self._session

    def keep(self, session: ProducerSession) -> None:
        """Go on with what the last transaction has left."""
        self._session, self._seen = session, session.stamps

    def give_up(self) -> None:
        """Let a call under way fail now instead of trying again; from any thread, and for good."""
        self._is_given_up.set()

    def forget(self) -> None:
        """Let go of the clients and of all that was seen: the next opening is a first one."""
        self.close()
        self._seen = self._final = None

    def close(self) -> None:
        """Let go of the clients. An open transaction is aborted by the next writer, or by time."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            run_bounded(session.dispose, timeout_s=_DISPOSE_TIMEOUT_S, what="closing the producer")
        except StuckError:
            self._stuck.append(session)

    def run(self, what: str, action: Callable[[ProducerSession], Result]) -> Result:
        """Run ``action`` on an open session; after a transient failure again, on a new one.

        Args:
            what: the phrase that messages name it by.
            action: may be run several times, each time on another session.

        Raises:
            SinkFencedError: another writer has taken over; every later call raises it again.
            SinkRejectedError: Kafka refuses something for good; likewise.
            SinkRetryExhaustedError: the last of several attempts failed.
        """
        if self._final is not None:
            raise self._final
        self._replace_if_repeated()
        for attempt in range(1, self._settings.attempts + 1):
            session: ProducerSession | None = None
            started_s = time.monotonic()
            try:
                if self._session is None:
                    self.keep(self._run(self._open, "init_transactions"))
                session = self.session
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
                first = _first_error(session, error)
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

    def _replace_if_repeated(self) -> None:
        loss = None if self._session is None else self._session.find_loss()
        if loss is not None:
            logger.info("a request may have been repeated, replacing the producer: %s", loss)
            self.close()

    def _run(self, call: Callable[[], Result], what: str) -> Result:
        return run_bounded(
            call, timeout_s=self._settings.stuck_after_s, what=what, given_up=self._is_given_up
        )

    def _abort(self, session: ProducerSession | None) -> None:
        if session is not None:
            with suppress(KafkaException, StuckError):
                run_bounded(session.abort, timeout_s=_DISPOSE_TIMEOUT_S, what="aborting")

    def _open(self) -> ProducerSession:
        return open_session(self._settings, self._run_id, self._seen, self._hook, waits=self._waits)

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
        found = find_foreign(peek_stamps(self._settings), self._seen or {}, self._run_id)
        return found and found[1]

    def _may_have_fenced_itself(self, duration_s: float) -> bool:
        """Whether no other producer need have done it.

        Brokers do so to end a transaction that lasts too long; and a call that was given up as
        stuck may have initialised a producer after all. To open again is safe: another run's stamp
        would end it.
        """
        return self._has_abandoned or duration_s >= self._settings.transaction_timeout_s


def _first_error(session: ProducerSession | None, error: Exception) -> KafkaError | None:
    """The error that ended the transaction; whatever is called after it misleads."""
    cause = error.args[0] if error.args else None
    known = cause if isinstance(cause, KafkaError) else None
    return known if session is None else session.find_first_error(known)
