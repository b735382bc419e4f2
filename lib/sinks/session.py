"""One transactional producer's life: from fencing its predecessor to being thrown away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from lib.errors import KafkaSetupError, SinkTakenOverError
from lib.kafka_options import for_librdkafka
from lib.sinks.failures import Failure, classify
from lib.sinks.resume import Offsets
from lib.sinks.stamp import Stamp

if TYPE_CHECKING:
    from lib.sinks.transaction import TransactionSettings

logger = logging.getLogger(__name__)

Hook = Callable[[str], None]
# How often one call of the client is repeated within a transaction when it says so itself.
_CALL_ATTEMPTS = 3
# Between looks whether an older transaction has ended.
_POLL_S = 0.1


def ignore(step: str) -> None:
    """The hook of a writer that nobody watches."""


@dataclass(frozen=True)
class Session:
    """A producer that was initialised, and what was committed right after.

    One that failed or got stuck is never used again, so nothing here is shared with the next one.

    Attributes:
        producer: initialised; owns the transactional id until another one is.
        consumer: for the group's metadata and offsets; never subscribes.
        committed: partition → the group's offset, None where it has none.
        stamps: partition → metadata of that offset.
        delivery_errors: of messages, in the order in which they failed.
        request_timeout_s: for each call.
        source_topic: whose offsets are committed.
    """

    producer: Producer
    consumer: Consumer
    committed: Mapping[int, int | None]
    stamps: Mapping[int, str | None]
    source_topic: str
    request_timeout_s: float
    delivery_errors: list[KafkaError] = field(default_factory=list)

    def begin(self) -> None:
        """Begin a transaction."""
        self.producer.begin_transaction()

    def send_offsets(self, targets: Offsets, stamp: str) -> None:
        """Make offsets part of the transaction."""
        offsets = [
            TopicPartition(self.source_topic, partition, offset, stamp)
            for partition, offset in sorted(targets.items())
        ]
        group = self.consumer.consumer_group_metadata()
        timeout_s = self.request_timeout_s
        _repeat(lambda: self.producer.send_offsets_to_transaction(offsets, group, timeout_s))

    def commit(self) -> None:
        """Send what is queued and commit the transaction."""
        _repeat(lambda: self.producer.commit_transaction(self.request_timeout_s))

    def abort(self) -> None:
        """Abort the transaction, so that readers need not wait for its timeout."""
        self.producer.abort_transaction(self.request_timeout_s)

    def find_fatal(self) -> KafkaError | None:
        """The error that ended the producer for good, if one did; ask before disposing of it."""
        try:
            self.producer.begin_transaction()
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            return error if error.fatal() else None
        return None

    def dispose(self) -> None:
        """Drop queued messages and close both clients."""
        self.producer.purge(in_queue=True, in_flight=True, blocking=False)
        self.consumer.close()


def open_session(
    settings: TransactionSettings,
    run_id: str,
    seen: Mapping[int, str | None] | None,
    hook: Hook,
) -> Session:
    """Fence the predecessor, then read what is committed. The order matters.

    Args:
        settings: of the writer.
        run_id: this driver's.
        seen: the stamps that this driver saw or wrote last; None at its first session. A foreign
            one means that another driver took over, and fencing it would steal the query back.
        hook: called at each step.

    Raises:
        SinkTakenOverError: another driver has committed since.
        KafkaException: a client call failed.
    """
    if seen is not None:
        check_owner(read_stamps(settings), seen, run_id, settings.query_name)
    consumer = Consumer(_consumer_settings(settings))
    hook("opening")
    delivery_errors: list[KafkaError] = []

    def note_failure(error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() != KafkaError._PURGE_QUEUE:
            delivery_errors.append(error)

    producer = Producer({**_producer_settings(settings), "on_delivery": note_failure})
    _repeat(lambda: producer.init_transactions(settings.request_timeout_s))
    hook("initialised")
    committed, stamps = _read_committed(consumer, settings)
    if seen is not None:
        check_owner(stamps, seen, run_id, settings.query_name)
    return Session(
        producer=producer,
        consumer=consumer,
        committed=committed,
        stamps=stamps,
        source_topic=settings.source_topic,
        request_timeout_s=settings.request_timeout_s,
        delivery_errors=delivery_errors,
    )


def check_owner(
    stamps: Mapping[int, str | None],
    seen: Mapping[int, str | None],
    run_id: str,
    query_name: str,
) -> None:
    """Make sure that nobody else has committed since this driver looked last.

    Raises:
        SinkTakenOverError: names who did.
    """
    successor = find_foreign(stamps, seen, run_id)
    if successor is not None:
        partition, who = successor
        raise SinkTakenOverError(
            f"group {query_name} was taken over: partition {partition} was committed by {who}"
        )


def find_foreign(
    stamps: Mapping[int, str | None], seen: Mapping[int, str | None], run_id: str
) -> tuple[int, str] | None:
    """(partition, who) of an offset that neither this run committed nor was there before it."""
    for partition, metadata in sorted(stamps.items()):
        stamp = Stamp.from_metadata(metadata)
        is_ours = stamp is not None and stamp.run_id == run_id
        if not is_ours and metadata != seen.get(partition):
            who = f"run {stamp.run_id}, batch {stamp.batch_id}" if stamp else "an unknown client"
            return partition, who
    return None


def read_stamps(settings: TransactionSettings) -> dict[int, str | None]:
    """Partition → metadata of the group's offset, without waiting for anything.

    Not only stable offsets: a transaction that this driver's last producer left open holds some
    back, and only the next initialisation ends it.
    """
    unstable = {**_consumer_settings(settings), "isolation.level": "read_uncommitted"}
    reader = Consumer(unstable)
    try:
        return _read_committed(reader, settings)[1]
    finally:
        reader.close()


def _read_committed(
    consumer: Consumer, settings: TransactionSettings
) -> tuple[dict[int, int | None], dict[int, str | None]]:
    """(partition → offset, partition → metadata), once no transaction is pending."""
    topic, timeout_s = settings.source_topic, settings.request_timeout_s
    asked = [TopicPartition(topic, partition) for partition in _list_partitions(consumer, settings)]
    deadline = time.monotonic() + settings.transaction_timeout_s
    while True:
        # A read_committed consumer, as by default, asks for stable offsets: the answer waits for
        # the end of a transaction that holds some.
        error: KafkaError | None
        try:
            answers = consumer.committed(asked, timeout=timeout_s)
            error = next((answer.error for answer in answers if answer.error is not None), None)
        except KafkaException as failure:
            error = failure.args[0]
        if error is None:
            break
        if time.monotonic() > deadline or classify(error) is not Failure.PASSING:
            raise KafkaException(error)
        time.sleep(_POLL_S)
    offsets = {a.partition: None if a.offset == OFFSET_INVALID else a.offset for a in answers}
    return offsets, {answer.partition: answer.metadata for answer in answers}


def _list_partitions(consumer: Consumer, settings: TransactionSettings) -> list[int]:
    topic = settings.source_topic
    metadata = consumer.list_topics(topic, timeout=settings.request_timeout_s).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    if settings.partitions is None:
        return sorted(metadata.partitions)
    missing = sorted(settings.partitions - metadata.partitions.keys())
    if missing:
        raise KafkaSetupError(
            f"topic {topic} has {len(metadata.partitions)} partitions, without {missing}",
            hint="name partitions that exist, counted from 0",
        )
    return sorted(settings.partitions)


def _repeat(call: Callable[[], object]) -> None:
    """Call again while the client says that the same call may succeed."""
    for attempt in range(1, _CALL_ATTEMPTS + 1):
        try:
            call()
            return
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            is_final = error.fatal() or error.txn_requires_abort() or not error.retriable()
            if is_final or attempt == _CALL_ATTEMPTS:
                raise
            logger.info("client asks to call again attempt=%d error=%s", attempt, error.name())


def _client_settings(settings: TransactionSettings) -> dict[str, str | int | float | bool]:
    return {
        # After all brokers were gone, the default "rebootstrap" leaves a stale coordinator behind
        # and send_offsets_to_transaction never returns (librdkafka issue 5511).
        "metadata.recovery.strategy": "none",
        "log_level": 3,
        **for_librdkafka(settings.bootstrap_servers, settings.kafka),
    }


def _consumer_settings(settings: TransactionSettings) -> dict[str, str | int | float | bool]:
    return {
        **_client_settings(settings),
        "group.id": settings.query_name,
        "enable.auto.commit": False,
    }


def _producer_settings(settings: TransactionSettings) -> dict[str, str | int | float | bool]:
    timeout_ms = int(settings.transaction_timeout_s * 1000)
    return {
        "linger.ms": 5,
        "compression.type": "lz4",
        # Large dead letters pass if their topic takes them; batches stay below broker defaults.
        "message.max.bytes": 64 * 1024 * 1024,
        "batch.size": 900_000,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 2_000_000,
        # As the Java client, so that both sinks put a key into the same partition.
        "partitioner": "murmur2_random",
        **_client_settings(settings),
        "transactional.id": settings.transactional_id or settings.query_name,
        "transaction.timeout.ms": timeout_ms,
        "message.timeout.ms": timeout_ms,
        "delivery.report.only.error": True,
    }
