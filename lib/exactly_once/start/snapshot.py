"""Reads the state that a start finds, and decides where the query resumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from lib.errors import SettingsError
from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.commit.base import CommitStrategy
from lib.exactly_once.offsets.ownership import Evidence, check_ownership
from lib.exactly_once.offsets.range_end import RangeEnd
from lib.exactly_once.offsets.resume import (
    CheckpointFinding,
    GroupPosition,
    Offsets,
    ResumePlan,
    decide_resume,
)
from lib.exactly_once.offsets.stamp import Stamp, find_chosen
from lib.exactly_once.transaction.group_offsets import choose_partitions, look_at_group
from lib.exactly_once.transaction.settings import ExactlyOnceSettings, TransactionSettings
from lib.kafka.admin import count_members, find_offsets, list_partitions, read_offsets
from lib.kafka.partitions import Position, parse_position


@dataclass(frozen=True)
class Snapshot:
    """Everything that decides where a query resumes.

    A start takes a snapshot before it changes anything, and again once older runs are fenced.

    Attributes:
        position: the position in the checkpoint, or its damage; None where it holds none.
        query_id: Spark's id of the query in the checkpoint; None where it holds none.
        checkpoint_topic_id: Kafka's id of the topic that the checkpoint was made with; None if the
            checkpoint does not hold it.
        topic_id: Kafka's id of the source topic now.
        members: the number of consumers that have joined the group.
        earliest: partition of the topic → oldest offset that still exists.
        latest: partition of the topic → last stable offset.
        committed: partition that the query reads → the group's offset, None where it has none.
        stamps: partition → metadata of that offset.
        is_stable: whether no transaction was pending that changes the group's offsets.
        configured: partition → offset at which a first start begins; empty at a later one.
        end: the end of a run that answers a range; None for a run without an end.
    """

    position: CheckpointFinding
    query_id: str | None
    checkpoint_topic_id: str | None
    topic_id: str
    members: int
    earliest: Offsets
    latest: Offsets
    committed: Mapping[int, int | None]
    stamps: Mapping[int, str | None]
    is_stable: bool
    configured: Offsets
    end: RangeEnd | None


def take_snapshot(
    settings: ExactlyOnceSettings,
    checkpoint: CheckpointReader,
    admin: AdminClient,
    topic_id: str,
    commit: CommitStrategy | None = None,
) -> Snapshot:
    """Read everything that decides where the query resumes, without changing anything.

    A job that runs meanwhile does not make the snapshot contradict itself, because the checkpoint
    and the oldest offsets are read before the group's offsets, and the ends after them.

    Args:
        settings: the settings of the sink.
        checkpoint: the checkpoint of the query.
        admin: a client that is asked for topic and group.
        topic_id: Kafka's id of the source topic.
        commit: the open commit strategy, which has read the group's offsets after it has fenced
            older runs; None before they are fenced.

    Raises:
        KafkaSetupError: the topic lacks partitions that the settings name.
        KafkaException: the brokers do not tell.
        SettingsError: the topic has no such positions as the settings name.
        SinkError: the checkpoint cannot be read.
    """
    topic = settings.source_topic
    position, query_id = checkpoint.look(), checkpoint.find_query_id()
    earliest = read_offsets(admin, topic, "earliest")
    committed: Mapping[int, int | None]
    stamps: Mapping[int, str | None]
    if commit is None:
        mine = choose_partitions(settings, sorted(earliest))
        group = look_at_group(admin, settings)
        committed = {p: group.offsets.get(p) for p in mine}
        stamps = {p: group.stamps.get(p) for p in mine}
        is_stable = group.is_stable
    else:
        committed, stamps, is_stable = commit.committed, commit.stamps, True
    is_first = position is None and all(offset is None for offset in committed.values())
    configured = _find_start(settings, admin, committed) if is_first else {}
    return Snapshot(
        position=position,
        query_id=query_id,
        checkpoint_topic_id=checkpoint.find_topic_id(),
        topic_id=topic_id,
        members=count_members(admin, settings.query_name),
        earliest=earliest,
        latest=read_offsets(admin, topic, "latest"),
        committed=committed,
        stamps=stamps,
        is_stable=is_stable,
        configured=configured,
        end=_find_end(settings, admin, committed, configured),
    )


def _find_start(
    settings: ExactlyOnceSettings, admin: AdminClient, partitions: Iterable[int]
) -> Offsets:
    """Find partition → offset at which a first start begins."""
    position = parse_position(settings.starting_offsets)
    found = find_offsets(admin, settings.source_topic, position)
    return _choose(found, partitions, position, "--starting-offsets")


def _find_end(
    settings: ExactlyOnceSettings,
    admin: AdminClient,
    partitions: Iterable[int],
    configured: Offsets,
) -> RangeEnd | None:
    """Find where the run ends, if it has an end."""
    if settings.ending_offsets is None:
        return None
    position = parse_position(settings.ending_offsets)
    found = find_offsets(admin, settings.source_topic, position, is_end=True)
    end = RangeEnd(_choose(found, partitions, position, "--ending-offsets"))
    for partition, start in sorted(configured.items()):
        if start > end.offsets[partition]:
            raise SettingsError(
                f"the range of {settings.source_topic}[{partition}] ends"
                f" @{end.offsets[partition]}, before it begins, @{start}",
                hint="correct --starting-offsets or --ending-offsets",
            )
    return end


def _choose(
    found: Offsets, partitions: Iterable[int], position: Position, flag: str
) -> dict[int, int]:
    """Choose the partitions that the query reads; a position by partition names each of them."""
    mine = set(partitions)
    unnamed = sorted(mine - found.keys())
    if unnamed and isinstance(position, Mapping):
        raise SettingsError(
            f"{flag} names no offset for the partitions {unnamed}, which the query reads",
            hint="name all of them, or choose those to read with --partitions",
        )
    return {partition: found.get(partition, 0) for partition in mine}


def find_partitions(admin: AdminClient, settings: TransactionSettings) -> list[int]:
    """Find the partitions that the query reads: those that exist, and those that the group has.

    An older run may have seen and claimed a new partition before this client sees it. The group's
    offsets show it, because one broker answers for all of them.

    Raises:
        KafkaException: the brokers do not tell.
    """
    topic = settings.source_topic
    existing = choose_partitions(settings, list_partitions(admin, topic))
    if settings.partitions is not None:
        return existing
    return sorted({*existing, *look_at_group(admin, settings, waits=False).offsets})


def check_snapshot(settings: ExactlyOnceSettings, snapshot: Snapshot) -> bool:
    """Refuse offsets that this query cannot have committed.

    Returns:
        Whether they are taken only because a person accepts them.

    Raises:
        ResumeRefusedError: others have committed; the error says who, and what to do.
    """
    evidence = Evidence(
        committed=snapshot.committed,
        stamps={p: Stamp.from_metadata(text) for p, text in snapshot.stamps.items()},
        topic_id=snapshot.topic_id,
        members=snapshot.members,
        checkpoint_query_id=snapshot.query_id,
        checkpoint_topic_id=snapshot.checkpoint_topic_id,
    )
    return check_ownership(
        evidence,
        topic=settings.source_topic,
        group_id=settings.query_name,
        accepted=settings.accept_offsets,
    )


def refuse_early(settings: ExactlyOnceSettings, snapshot: Snapshot) -> ResumePlan | None:
    """Refuse a start that can be refused before older runs are fenced.

    Returns:
        The plan, unless a transaction is pending.

    Raises:
        ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
    """
    if snapshot.is_stable:
        return decide(settings, snapshot)
    # Whether a dead run's transaction was committed is known only after fencing.
    check_snapshot(settings, snapshot)
    return None


def decide(
    settings: ExactlyOnceSettings, snapshot: Snapshot, distrust: str | None = None
) -> ResumePlan:
    """Decide where the query resumes.

    Raises:
        ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
    """
    check_snapshot(settings, snapshot)
    mine = [p for p in snapshot.committed if p in snapshot.earliest]
    group = GroupPosition(
        committed={p: snapshot.committed[p] for p in mine},
        earliest={p: snapshot.earliest[p] for p in mine},
        latest=snapshot.latest,
        configured={p: snapshot.configured.get(p, 0) for p in mine},
        chosen=find_chosen(snapshot.stamps),
    )
    return decide_resume(
        snapshot.position,
        group,
        topic=settings.source_topic,
        group_id=settings.query_name,
        distrust=distrust,
        end=snapshot.end,
    )
