"""A transactional producer: it fences its predecessor, commits, and is replaced after errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from lib.exactly_once.offsets.ownership import check_still_owner
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.transaction.failures import is_consequence
from lib.exactly_once.transaction.group_offsets import (
    build_client_settings,
    build_consumer_settings,
    read_committed,
    read_stamps,
)
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.client_log import DEBUG_CONTEXT, ClientLog

logger = logging.getLogger(__name__)

_KAFKAS_OWN = "__consumer_offsets"
# The number of times that a call is made when the client itself says that it may be repeated.
_CALL_ATTEMPTS = 3
_REPORT_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class TransactionalProducer:
    """A producer that was initialised, and what was committed right after.

    After a failure or a stuck call it is never used again, and shares nothing with the next one.

    Attributes:
        client: librdkafka's producer; it owns the transactional id until another is initialised.
        consumer: a consumer for the group's metadata and offsets; it never subscribes.
        committed: partition → the group's offset, None where it has none.
        stamps: partition → metadata of that offset.
        source_topic: the topic whose offsets are committed.
        request_timeout_s: the time limit of each call except :meth:`commit`.
        commit_timeout_s: the time limit of a call of :meth:`commit`, which may be repeated.
        log: the client's log; it tells whether a request may have been repeated.
        delivery_errors: (error, topic) of messages, in the order in which they failed.
        owns_consumer: whether the consumer is closed with the producer.
    """

    client: Producer
    consumer: Consumer
    committed: Mapping[int, int | None]
    stamps: Mapping[int, str | None]
    source_topic: str
    request_timeout_s: float
    commit_timeout_s: float
    log: ClientLog = field(default_factory=ClientLog)
    delivery_errors: list[tuple[KafkaError, str]] = field(default_factory=list)
    owns_consumer: bool = True

    def begin(self) -> None:
        """Begin a transaction."""
        self.client.begin_transaction()

    def send_offsets(self, targets: Offsets, stamp: str) -> None:
        """Make offsets part of the transaction."""
        offsets = [
            TopicPartition(self.source_topic, partition, offset, stamp)
            for partition, offset in sorted(targets.items())
        ]
        group = self.consumer.consumer_group_metadata()
        timeout_s = self.request_timeout_s
        _repeat(
            lambda: self.client.send_offsets_to_transaction(offsets, group, timeout_s), self.log
        )

    def commit(self) -> None:
        """Send what is queued and commit the transaction."""
        _repeat(lambda: self.client.commit_transaction(self.commit_timeout_s), self.log)

    def abort(self) -> None:
        """Abort the transaction, so that readers need not wait for its timeout."""
        self.client.abort_transaction(self.request_timeout_s)

    def find_loss(self) -> str | None:
        """Return the event that may have made the producer repeat a request, if there was one.

        The first copy of the request may still arrive, and would then change the next transaction
        of this producer instead of its own.
        """
        self._poll(0)  # this delivers queued log lines
        return self.log.loss

    def find_first_error(self, error: KafkaError | None) -> KafkaError | None:
        """Find the error that ended the transaction; later calls give misleading errors.

        Args:
            error: the error that a call has raised; None if it was no error of Kafka.
        """
        if is_consequence(error):
            error = self._find_delivery_error() or error
        if error is not None and error.code() == KafkaError._FATAL:
            # The error of a single message only says that its producer had failed before.
            error = self._find_fatal() or error
        return error

    def find_topic(self, error: KafkaError) -> str | None:
        """Find the topic of the first message that failed with an error; None if there is none."""
        if not self.delivery_errors:
            self._poll(_REPORT_TIMEOUT_S)
        topics = (topic for failure, topic in self.delivery_errors if failure == error.code())
        return next(topics, None)

    def _poll(self, timeout_s: float) -> None:
        """Let the client deliver its reports and log lines; a fatal error is found elsewhere."""
        with suppress(KafkaException):
            self.client.poll(timeout_s)

    def _find_delivery_error(self) -> KafkaError | None:
        """Return the error of the first message that failed, if one did."""
        if not self.delivery_errors:
            # The client reports errors with a delay, and calls fail in between.
            self._poll(_REPORT_TIMEOUT_S)
        return self.delivery_errors[0][0] if self.delivery_errors else None

    def _find_fatal(self) -> KafkaError | None:
        """Return the error that ended the producer for good, if one did; call before dispose."""
        try:
            self.client.begin_transaction()
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            return error if error.fatal() else None
        return None

    def drop_messages(self) -> None:
        """Drop what the producer has queued, which makes its transaction fail; from any thread.

        The client counts dropped messages as failed ones.
        """
        self.client.purge(in_queue=True, in_flight=True, blocking=False)
        # The client keeps messages until their failure is reported.
        self.client.flush(_REPORT_TIMEOUT_S)

    def dispose(self) -> None:
        """Drop queued messages and close the clients, except a consumer that others share."""
        self.client.purge(in_queue=True, in_flight=True, blocking=False)
        if self.owns_consumer:
            self.consumer.close()


def open_producer(
    settings: TransactionSettings,
    run_id: str,
    seen: Mapping[int, str | None] | None,
    *,
    waits: bool,
    reader: Consumer | None,
    known: Mapping[int, int | None] | None,
) -> TransactionalProducer:
    """Fence the predecessor, then read what is committed. The order matters.

    Args:
        settings: the settings of the writer.
        run_id: the id of this run.
        seen: the stamps that this driver saw or wrote last; None when it opens its first producer.
            A foreign one means that another driver took over, and fencing it would steal the query
            back.
        waits: whether to wait for the end of other writers' transactions.
        reader: a consumer that several writers share; None to make one.
        known: partition → offset that was committed last, if nothing can have been committed since;
            it stands for offsets that are gone. None if that is not known.

    Raises:
        SinkTakenOverError: another driver has committed since.
        KafkaException: a client call failed.
    """

    def check(stamps: Mapping[int, str | None]) -> None:
        if seen is not None:
            there = {p: it for p, it in stamps.items() if it is not None or known is None}
            check_still_owner(there, seen, run_id, settings.query_name)

    if seen is not None:
        check(read_stamps(settings))
    consumer = reader or Consumer(build_consumer_settings(settings, waits=waits))
    settings.on_step("opening")
    delivery_errors: list[tuple[KafkaError, str]] = []

    def note_failure(error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() != KafkaError._PURGE_QUEUE:
            delivery_errors.append((error, message.topic() or ""))

    log = ClientLog(logging.DEBUG if "debug" in settings.cluster.options else logging.ERROR)
    client_settings = _producer_settings(settings)
    producer = Producer({**client_settings, "on_delivery": note_failure, "logger": log})
    # A client that knows no broker yet looks for its coordinator only every 500 ms. It asks for a
    # topic of Kafka's own, because brokers may create a deleted one that a producer asks for.
    _repeat(lambda: producer.list_topics(_KAFKAS_OWN, settings.request_timeout_s), log)
    _repeat(lambda: producer.init_transactions(settings.request_timeout_s), log)
    # No request so far can change a transaction of this producer: an initialisation that arrives
    # twice fences it.
    producer.poll(0)
    log.forget()
    settings.on_step("initialised")
    committed, stamps = read_committed(consumer, settings)
    check(stamps)
    if known is not None and (gone := [p for p, it in committed.items() if it is None]):
        logger.warning("the group's offsets of partitions %s are gone, restoring", sorted(gone))
        committed = {**committed, **{p: known.get(p) for p in gone}}
        stamps = {**stamps, **{p: (seen or {}).get(p) for p in gone}}
    return TransactionalProducer(
        client=producer,
        consumer=consumer,
        committed=committed,
        stamps=stamps,
        source_topic=settings.source_topic,
        request_timeout_s=settings.request_timeout_s,
        # All calls together take no longer than the transaction may take.
        commit_timeout_s=settings.transaction_timeout_s / _CALL_ATTEMPTS,
        log=log,
        delivery_errors=delivery_errors,
        owns_consumer=reader is None,
    )


def _repeat(call: Callable[[], object], log: ClientLog) -> None:
    """Repeat a call while the client says that it may succeed, and note that in the log."""
    for attempt in range(1, _CALL_ATTEMPTS + 1):
        try:
            call()
            return
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            is_final = error.fatal() or error.txn_requires_abort() or not error.retriable()
            if is_final or attempt == _CALL_ATTEMPTS:
                raise
            log.note_repeated_call(error.name())
            logger.info("client asks to call again attempt=%d error=%s", attempt, error.name())


def _producer_settings(settings: TransactionSettings) -> dict[str, str | int | float | bool]:
    timeout_ms = int(settings.transaction_timeout_s * 1000)
    contexts = {*settings.cluster.options.get("debug", DEBUG_CONTEXT).split(","), DEBUG_CONTEXT}
    return {
        "linger.ms": 5,
        "compression.type": "lz4",
        # Large dead letters pass if their topic takes them; batches stay below broker defaults.
        "message.max.bytes": 64 * 1024 * 1024,
        "batch.size": 900_000,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 2_000_000,
        # This is the Java client's default, so that both sinks put a key into the same partition.
        "partitioner": "murmur2_random",
        **build_client_settings(settings),
        "transactional.id": settings.transactional_id or settings.query_name,
        "transaction.timeout.ms": timeout_ms,
        "message.timeout.ms": timeout_ms,
        "delivery.report.only.error": True,
        "debug": ",".join(sorted(contexts)),
    }
