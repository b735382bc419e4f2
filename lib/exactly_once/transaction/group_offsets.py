"""Reads what a consumer group has committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from lib.errors import KafkaSetupError
from lib.exactly_once.transaction.failures import Failure, classify
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import list_partitions
from lib.kafka.retry import ask_until_answered

# The pause before a question is repeated, after an error that may pass.
_POLL_S = 0.1
# The time for which a reader that fences nobody waits for the end of an open transaction, which may
# be a batch of a running job.
_PATIENCE_S = 1.0
# A broker that has just started, or has become the coordinator, loads the offsets first.
_NO_COORDINATOR = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
# The client reports these errors when its time is over and a transaction is still open.
_NOT_STABLE_YET = (KafkaError.UNSTABLE_OFFSET_COMMIT, KafkaError._TIMED_OUT)
# So many partitions beyond the last known one are asked for: another run may have claimed them.
_BEYOND = 64


def read_stamps(settings: TransactionSettings) -> dict[int, str | None]:
    """Read partition → metadata of the group's offset (None without one), without waiting.

    It reads offsets that are not stable too: a transaction that this driver's last producer left
    open holds some back, and only the next initialisation ends it.
    """
    reader = Consumer(build_consumer_settings(settings, waits=False))
    try:
        return read_committed(reader, settings)[1]
    finally:
        reader.close()


def read_committed(
    consumer: Consumer, settings: TransactionSettings
) -> tuple[dict[int, int | None], dict[int, str | None]]:
    """Read (partition → offset, partition → metadata), once no transaction is pending.

    Both are None for a partition without an offset.
    """
    asked = [
        TopicPartition(settings.source_topic, partition)
        for partition in _choose_partitions(consumer, settings)
    ]
    # A read_committed consumer, the default, asks for stable offsets: the answer waits for the end
    # of a transaction that changes some of them.
    answers = _ask(
        consumer,
        asked,
        timeout_s=settings.request_timeout_s,
        deadline_s=time.monotonic() + settings.transaction_timeout_s,
        may_pass=lambda error: classify(error) is Failure.TRANSIENT,
    )
    offsets = {a.partition: None if a.offset == OFFSET_INVALID else a.offset for a in answers}
    texts = {answer.partition: answer.metadata or "" for answer in answers}
    return offsets, {p: None if offsets[p] is None else text for p, text in texts.items()}


@dataclass(frozen=True)
class GroupOffsets:
    """The offsets that a group has committed for the source topic.

    Attributes:
        offsets: partition → offset; partitions without one are absent.
        stamps: partition → metadata of that offset.
        is_stable: whether no transaction was pending that changes them.
    """

    offsets: Mapping[int, int]
    stamps: Mapping[int, str]
    is_stable: bool


def look_at_group(
    admin: AdminClient, settings: TransactionSettings, *, waits: bool = True
) -> GroupOffsets:
    """Read what the group has committed, with a client that fences nobody.

    It waits only a little for pending transactions: one that a dead process has left open lasts
    until its id is initialised again. It asks with a consumer, because the admin client's
    ``list_consumer_group_offsets`` ends the process with a segmentation fault while the group's
    coordinator is still loading, on a broker that has just started (confluent-kafka 2.16.1).

    Args:
        admin: a client that is asked for the topic's partitions.
        settings: the settings, which name group and topic.
        waits: whether to wait for pending transactions at all.

    Raises:
        KafkaSetupError: the topic lacks partitions that the settings name.
        KafkaException: the brokers do not tell.
    """
    partitions = choose_partitions(settings, list_partitions(admin, settings.source_topic))
    if settings.partitions is None:
        # An older run may have claimed partitions that this client does not see yet.
        first = partitions[-1] + 1
        partitions = [*partitions, *range(first, first + _BEYOND)]
    asked = [TopicPartition(settings.source_topic, partition) for partition in partitions]
    deadline_s = time.monotonic() + settings.request_timeout_s
    if waits:
        try:
            return _look(asked, settings, deadline_s, is_stable=True)
        except KafkaException as error:
            # The client itself repeats the question until its time is over.
            if error.args[0].code() not in _NOT_STABLE_YET:
                raise
    return _look(asked, settings, deadline_s, is_stable=False)


def _look(
    asked: list[TopicPartition],
    settings: TransactionSettings,
    deadline_s: float,
    *,
    is_stable: bool,
) -> GroupOffsets:
    """Ask with a new consumer, which waits for pending transactions if ``is_stable``."""
    reader = Consumer(build_consumer_settings(settings, waits=is_stable))
    try:
        answers = _ask(
            reader,
            asked,
            timeout_s=_PATIENCE_S if is_stable else settings.request_timeout_s,
            deadline_s=deadline_s,
            may_pass=lambda error: error.code() in _NO_COORDINATOR,
        )
    finally:
        reader.close()
    committed = [answer for answer in answers if answer.offset != OFFSET_INVALID]
    return GroupOffsets(
        {it.partition: it.offset for it in committed},
        {it.partition: it.metadata or "" for it in committed},
        is_stable,
    )


def _ask(
    consumer: Consumer,
    asked: list[TopicPartition],
    *,
    timeout_s: float,
    deadline_s: float,
    may_pass: Callable[[KafkaError], bool],
) -> list[TopicPartition]:
    """Ask for the group's offsets of all the partitions.

    Args:
        consumer: a consumer of the group.
        asked: the partitions of the topic.
        timeout_s: the time limit of each question.
        deadline_s: the time, by time.monotonic, after which nothing is asked again.
        may_pass: a function that tells whether asking again may help after an error.

    Raises:
        KafkaException: the brokers do not tell the offset of one of the partitions.
    """

    def ask() -> list[TopicPartition]:
        answers: list[TopicPartition] = consumer.committed(asked, timeout=timeout_s)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return answers

    return ask_until_answered(ask, may_pass, deadline_s - time.monotonic(), poll_s=_POLL_S)


def _choose_partitions(consumer: Consumer, settings: TransactionSettings) -> list[int]:
    if settings.transactional_id is not None and settings.partitions is not None:
        return sorted(settings.partitions)  # the writer of one partition, which is known to exist
    return choose_partitions(
        settings, list_partitions(consumer, settings.source_topic, settings.request_timeout_s)
    )


def choose_partitions(settings: TransactionSettings, existing: list[int]) -> list[int]:
    """Return the existing partitions that the query reads.

    Raises:
        KafkaSetupError: a partition that the settings name does not exist.
    """
    topic = settings.source_topic
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
    """Return the options that all librdkafka clients of the sink have."""
    return {
        # After all brokers were gone, the default "rebootstrap" leaves a stale coordinator behind
        # and send_offsets_to_transaction never returns (librdkafka issue 5511).
        "metadata.recovery.strategy": "none",
        # In an outage the client would write several lines a second, which only repeat the errors
        # of its calls.
        "log_level": 0,
        **settings.cluster.for_librdkafka(),
    }


def build_consumer_settings(
    settings: TransactionSettings, *, waits: bool = True
) -> dict[str, str | int | float | bool]:
    """Return the options of a client that asks for the group's offsets.

    Args:
        settings: the settings, which name brokers and group.
        waits: whether an answer waits for pending transactions.
    """
    return {
        **build_client_settings(settings),
        "group.id": settings.query_name,
        "enable.auto.commit": False,
        "isolation.level": "read_committed" if waits else "read_uncommitted",
    }
