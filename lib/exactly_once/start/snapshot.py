"""What a start looks at before it changes anything, and again once older runs are fenced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.commit.base import CommitStrategy
from lib.exactly_once.offsets.ownership import Evidence, check_ownership
from lib.exactly_once.offsets.resume import (
    CheckpointFinding,
    GroupPosition,
    Offsets,
    ResumePlan,
    decide_resume,
)
from lib.exactly_once.offsets.stamp import Stamp
from lib.exactly_once.transaction.group_offsets import choose_partitions, look_at_group
from lib.exactly_once.transaction.settings import ExactlyOnceSettings, TransactionSettings
from lib.kafka.admin import count_members, list_partitions, read_offsets


@dataclass(frozen=True)
class Snapshot:
    """All that decides where a query resumes.

    Attributes:
        position: of the checkpoint, or its damage; None where it says none.
        query_id: Spark's, from the checkpoint; None where it has none.
        checkpoint_topic_id: of the topic that the checkpoint was made with; None if not noted.
        topic_id: Kafka's id of the source topic now.
        members: consumers that have joined the group.
        earliest: partition of the topic → oldest offset that still exists.
        latest: partition of the topic → last stable offset.
        committed: partition that the query reads → the group's offset, None where it has none.
        stamps: partition → metadata of that offset.
        is_stable: whether no transaction was pending that changes the group's offsets.
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


def take_snapshot(
    settings: ExactlyOnceSettings,
    checkpoint: CheckpointReader,
    admin: AdminClient,
    topic_id: str,
    commit: CommitStrategy | None = None,
) -> Snapshot:
    """Read all that decides where the query resumes, and change nothing.

    In an order that a job which is running meanwhile cannot turn into a contradiction: the
    checkpoint and the oldest records before the group's offsets, the ends after them.

    Args:
        settings: of the sink.
        checkpoint: of the query.
        admin: for what brokers know of topic and group.
        topic_id: Kafka's id of the source topic.
        commit: open, so that no older run commits any more: what it has read of the group holds.
            None before that.

    Raises:
        KafkaSetupError: the topic lacks partitions that the settings name.
        KafkaException: the brokers do not tell.
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
    )


def find_partitions(admin: AdminClient, settings: TransactionSettings) -> list[int]:
    """The partitions that the query reads: those that exist, and those that the group knows of.

    A run that was replaced may have seen a new partition, and claimed it, before this client sees
    it: the group's offsets tell, for one broker answers for them.

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
        Whether they are taken only because a person vouches for them.

    Raises:
        ResumeRefusedError: says who has committed what, and the way out.
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


def refuse_early(settings: ExactlyOnceSettings, snapshot: Snapshot) -> None:
    """Refuse what can be refused before older runs are fenced.

    Raises:
        ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
    """
    if snapshot.is_stable:
        decide(settings, snapshot)
    else:
        # Of a dead run's transaction only fencing tells whether it was committed.
        check_snapshot(settings, snapshot)


def decide(
    settings: ExactlyOnceSettings, snapshot: Snapshot, distrust: str | None = None
) -> ResumePlan:
    """Where the query resumes.

    Raises:
        ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
    """
    check_snapshot(settings, snapshot)
    mine = [p for p in snapshot.committed if p in snapshot.earliest]
    configured = snapshot.latest if settings.starting_offsets == "latest" else snapshot.earliest
    group = GroupPosition(
        committed={p: snapshot.committed[p] for p in mine},
        earliest={p: snapshot.earliest[p] for p in mine},
        latest=snapshot.latest,
        configured={p: configured.get(p, 0) for p in mine},
    )
    return decide_resume(
        snapshot.position,
        group,
        topic=settings.source_topic,
        group_id=settings.query_name,
        distrust=distrust,
    )
