"""Changes the positions of a query's group, with the query's transactional id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from lib.errors import KafkaSetupError, SettingsError
from lib.exactly_once.commit.driver import DriverCommit
from lib.exactly_once.commit.partition_writers import Predecessors
from lib.exactly_once.offsets.stamp import PERSON, Author, make_run_id
from lib.exactly_once.start.snapshot import find_partitions
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import ANSWER_TIMEOUT_S, ask_brokers
from lib.tools.offsets.group import GroupView, find_living_owner, refuse_if_used
from lib.tools.offsets.moves import Move, plan_deletion, plan_moves


def set_positions(
    admin: AdminClient, settings: TransactionSettings, view: GroupView, targets: Mapping[int, int]
) -> list[Move]:
    """Set positions, with a stamp that the query's next start takes.

    The query's older runs are fenced first, as by a start. So none of them moves a position
    afterwards, and no transaction that one has left open does.

    Args:
        admin: a client of the cluster.
        settings: ``query_name`` is the group, ``source_topic`` the topic.
        view: the positions that were there before.
        targets: partition → position; other partitions are left alone.

    Returns:
        The positions that were changed.

    Raises:
        OffsetsInUseError: a job or a consumer uses the group.
        SinkError: Kafka refuses the change.
    """
    with _fenced(admin, settings, view) as commit:
        moves = plan_moves(commit.committed, targets)
        commit.move(dict(targets), PERSON)
    return moves


def delete_positions(
    admin: AdminClient, settings: TransactionSettings, view: GroupView
) -> list[Move]:
    """Delete the group, and with it all its positions.

    Raises:
        KafkaSetupError: the brokers refuse it.
        OffsetsInUseError: a job or a consumer uses the group.
        SettingsError: the group has more positions, which would be deleted as well.
    """
    group_id, topic = settings.query_name, settings.source_topic
    others = [it for it in _list_places(admin, group_id) if it not in view.places(topic)]
    if others:
        listed = ", ".join(f"{name}[{partition}]" for name, partition in others)
        raise SettingsError(
            f"group {group_id} has positions in {listed} too, and brokers delete groups as a whole",
            hint="name that topic with --input-topic, and all partitions; or set positions instead",
        )
    with _fenced(admin, settings, view) as commit:
        moves = plan_deletion(commit.committed)
    if any(move.before is not None for move in moves):
        try:
            admin.delete_consumer_groups([group_id], request_timeout=ANSWER_TIMEOUT_S)[
                group_id
            ].result()
        except KafkaException as error:
            raise KafkaSetupError(
                f"group {group_id} cannot be deleted: {error.args[0].str()}",
                hint="grant the user DELETE on the group, or set the positions instead",
            ) from error
    return moves


@contextmanager
def _fenced(
    admin: AdminClient, settings: TransactionSettings, view: GroupView
) -> Iterator[DriverCommit]:
    """Keep the query's older runs from committing, as a start does."""
    run_id, group_id = make_run_id(), settings.query_name
    commit = DriverCommit(settings, Author(run_id, view.topic_id))

    def check(partition: int, offset: int | None, metadata: str | None) -> None:
        refuse_if_used(group_id, owner=find_living_owner({0: metadata}, run_id), members=0)

    predecessors = Predecessors(
        view.stamps,
        len(ask_brokers(admin)),
        PERSON,
        find_partitions=partial(find_partitions, admin, settings),
        check=check,
    )
    try:
        commit.open(predecessors)
        # A job may have started since the view was taken. This has fenced it, and it goes on.
        refuse_if_used(group_id, owner=find_living_owner(commit.stamps, run_id), members=0)
        yield commit
    finally:
        commit.close()


def _list_places(admin: AdminClient, group_id: str) -> list[tuple[str, int]]:
    """List (topic, partition) of a group's positions.

    A consumer has asked for the group before: while its coordinator loads, this call makes the
    client library end the process.
    """
    answers = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group_id)], request_timeout=ANSWER_TIMEOUT_S
    )
    found = answers[group_id].result().topic_partitions or ()
    return sorted((it.topic, it.partition) for it in found if it.offset >= 0)
