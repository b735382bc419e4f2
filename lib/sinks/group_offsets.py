"""What a consumer group has committed."""

from __future__ import annotations

import logging
import time
from functools import partial

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from lib.errors import KafkaSetupError
from lib.kafka.admin import list_partitions
from lib.kafka.options import for_librdkafka
from lib.sinks.bounded import StuckError, run_bounded
from lib.sinks.failures import Failure, classify
from lib.sinks.settings import TransactionSettings

logger = logging.getLogger(__name__)

# Between looks whether an older transaction has ended.
_POLL_S = 0.1


def read_stamps(settings: TransactionSettings) -> dict[int, str | None]:
    """Partition → metadata of the group's offset, None without one; does not wait for anything.

    Not only stable offsets: a transaction that this driver's last producer left open holds some
    back, and only the next initialisation ends it.
    """
    reader = Consumer(build_consumer_settings(settings, waits=False))
    try:
        return read_committed(reader, settings)[1]
    finally:
        reader.close()


def peek_stamps(settings: TransactionSettings) -> dict[int, str | None]:
    """:func:`read_stamps` within a time limit; nothing where Kafka does not tell."""
    try:
        return run_bounded(
            partial(read_stamps, settings), timeout_s=settings.request_timeout_s, what="stamps"
        )
    except (KafkaException, StuckError) as error:
        logger.info("stamps not read error=%s", error)
        return {}


def read_committed(
    consumer: Consumer, settings: TransactionSettings
) -> tuple[dict[int, int | None], dict[int, str | None]]:
    """(partition → offset, partition → metadata), once no transaction is pending.

    Both are None where the group has no offset.
    """
    topic, timeout_s = settings.source_topic, settings.request_timeout_s
    asked = [
        TopicPartition(topic, partition) for partition in _choose_partitions(consumer, settings)
    ]
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
        if time.monotonic() > deadline or classify(error) is not Failure.TRANSIENT:
            raise KafkaException(error)
        time.sleep(_POLL_S)
    offsets = {a.partition: None if a.offset == OFFSET_INVALID else a.offset for a in answers}
    texts = {answer.partition: answer.metadata or "" for answer in answers}
    return offsets, {p: None if offsets[p] is None else text for p, text in texts.items()}


def _choose_partitions(consumer: Consumer, settings: TransactionSettings) -> list[int]:
    topic = settings.source_topic
    existing = list_partitions(consumer, topic, settings.request_timeout_s)
    if settings.partitions is None:
        return existing
    missing = sorted(settings.partitions.difference(existing))
    if missing:
        raise KafkaSetupError(
            f"topic {topic} has {len(existing)} partitions, without {missing}",
            hint="name partitions that exist, counted from 0",
        )
    return sorted(settings.partitions)


def build_client_settings(settings: TransactionSettings) -> dict[str, str | int | float | bool]:
    """Of every librdkafka client of the sink."""
    return {
        # After all brokers were gone, the default "rebootstrap" leaves a stale coordinator behind
        # and send_offsets_to_transaction never returns (librdkafka issue 5511).
        "metadata.recovery.strategy": "none",
        "log_level": 3,
        **for_librdkafka(settings.bootstrap_servers, settings.kafka),
    }


def build_consumer_settings(
    settings: TransactionSettings, *, waits: bool = True
) -> dict[str, str | int | float | bool]:
    """Of a client that asks for the group's offsets, and may wait for pending transactions."""
    return {
        **build_client_settings(settings),
        "group.id": settings.query_name,
        "enable.auto.commit": False,
        "isolation.level": "read_committed" if waits else "read_uncommitted",
    }
