"""Reads and claims the group's offsets, which tell how far dead letters were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from lib.errors import ResendRefusedError, SourceError
from lib.exactly_once.offsets.stamp import Stamp
from lib.exactly_once.transaction.group_offsets import build_consumer_settings, read_committed
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.admin import ANSWER_TIMEOUT_S, read_offsets, read_topic_id
from lib.tools.dead_letters.positions import GroupState, decide_starts, is_reader, name_reader


def check_start(
    admin: AdminClient, settings: TransactionSettings, *, from_beginning: bool, waits: bool
) -> tuple[dict[int, int], str]:
    """Find where reading would begin, without ending another run.

    Args:
        admin: a client of the cluster.
        settings: ``source_topic`` is the dead-letter topic, ``query_name`` the group.
        from_beginning: see :func:`lib.tools.dead_letters.positions.decide_starts`.
        waits: whether to wait for an open transaction of another run.

    Returns:
        Partition → offset, and Kafka's id of the dead-letter topic.

    Raises:
        ResendRefusedError: letters might be sent a second time.
        SourceError: the brokers do not tell.
    """
    topic, group_id = settings.source_topic, settings.query_name
    with name_topic(topic):
        client = Consumer(build_consumer_settings(settings, waits=waits))
        try:
            committed, stamps = read_committed(client, settings)
        finally:
            client.close()
        _refuse_group_of_a_query(admin, group_id, topic)
        found = _describe(admin, topic, committed, stamps)
    starts = decide_starts(found, topic=topic, group_id=group_id, from_beginning=from_beginning)
    return starts, found.topic_id


def claim_start(
    admin: AdminClient,
    settings: TransactionSettings,
    writer: TransactionalWriter,
    *,
    from_beginning: bool,
) -> dict[int, int]:
    """Decide where reading begins, and commit the positions of all partitions.

    Partitions without letters get a position too. So a position that is missing later was deleted
    or has expired, and every run renews the positions of partitions without new letters.

    Args:
        admin: a client of the cluster.
        settings: see :func:`check_start`.
        writer: the open writer, which has fenced older runs.
        from_beginning: see :func:`lib.tools.dead_letters.positions.decide_starts`.

    Returns:
        Partition → offset.

    Raises:
        ResendRefusedError: letters might be sent a second time.
        SinkError: the positions could not be committed.
        SourceError: the brokers do not tell.
    """
    topic, group_id = settings.source_topic, settings.query_name
    with name_topic(topic):
        found = _describe(admin, topic, writer.committed, writer.stamps)
    starts = decide_starts(found, topic=topic, group_id=group_id, from_beginning=from_beginning)
    writer.claim(starts, query_id=name_reader(len(starts)))
    return starts


@contextmanager
def name_topic(topic: str) -> Iterator[None]:
    """Turn Kafka's errors in a block into a :class:`SourceError` that names the topic."""
    try:
        yield
    except KafkaException as error:
        raise SourceError(
            f"topic {topic} cannot be read: {error.args[0].str()}",
            hint="check the brokers, and the rights on the topic and on the group --resend-name",
        ) from error


def _describe(
    admin: AdminClient,
    topic: str,
    committed: Mapping[int, int | None],
    stamps: Mapping[int, str | None],
) -> GroupState:
    """Read where the topic begins and ends, to compare the group's positions with it."""
    return GroupState(
        committed,
        stamps={it: Stamp.from_metadata(text) for it, text in stamps.items()},
        earliest=read_offsets(admin, topic, "earliest"),
        latest=read_offsets(admin, topic, "latest"),
        topic_id=read_topic_id(admin, topic),
    )


def _refuse_group_of_a_query(admin: AdminClient, group_id: str, own_topic: str) -> None:
    """Refuse the name of a query: a run under it would end the query's job."""
    # A consumer has been answered before: while the group's coordinator loads, this call makes the
    # client library end the process.
    asked = ConsumerGroupTopicPartitions(group_id)
    answers = admin.list_consumer_group_offsets([asked], request_timeout=ANSWER_TIMEOUT_S)
    for position in answers[group_id].result().topic_partitions or ():
        stamp = Stamp.from_metadata(position.metadata)
        is_own = position.topic == own_topic
        if stamp is not None and not is_own and not is_reader(stamp):
            raise ResendRefusedError(
                f"--resend-name {group_id} is the name of a query that reads {position.topic}:"
                f" letters that are sent under it would end its job, run {stamp.run_id}",
                hint="choose another --resend-name",
            )
