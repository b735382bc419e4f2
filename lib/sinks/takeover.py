"""How a run takes a query over from the one before it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from lib.kafka.admin import count_members, read_offsets
from lib.sinks.checkpoint import CheckpointReader
from lib.sinks.commit import CommitStrategy
from lib.sinks.ownership import Evidence, check_ownership
from lib.sinks.resume import GroupPosition, ResumePlan, decide_resume
from lib.sinks.settings import ExactlyOnceSettings
from lib.sinks.stamp import UNKNOWN_QUERY, Stamp

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Takeover:
    """How a run goes on.

    Attributes:
        plan: where it resumes.
        suspect_batch: the batch it begins with, if that has ended more than one run before.
    """

    plan: ResumePlan
    suspect_batch: int | None


def take_over(
    settings: ExactlyOnceSettings,
    checkpoint: CheckpointReader,
    commit: CommitStrategy,
    admin: AdminClient,
    topic_id: str,
) -> Takeover:
    """Fence older runs, decide where to resume, put this run's stamp on the group's offsets.

    Args:
        settings: of the sink.
        checkpoint: of the query; a mark of the topic is left in it.
        commit: not open yet, or to be opened anew.
        admin: for what brokers know of topic and group.
        topic_id: Kafka's id of the source topic.

    Raises:
        ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
        SinkFencedError: another run has taken over meanwhile.
        SinkFencedByTaskError: a task of an older run was still writing; the next attempt fences it.
        KafkaException: the brokers do not tell.
    """
    topic, group_id = settings.source_topic, settings.query_name
    commit.open()
    earliest, latest = (read_offsets(admin, topic, end) for end in ("earliest", "latest"))
    query_id = checkpoint.find_query_id()
    evidence = Evidence(
        committed=commit.committed,
        stamps={p: Stamp.from_metadata(text) for p, text in commit.stamps.items()},
        topic_id=topic_id,
        members=count_members(admin, group_id),
        checkpoint_query_id=query_id,
        checkpoint_topic_id=checkpoint.find_topic_id(),
    )
    check_ownership(
        evidence, topic=topic, group_id=group_id, accept_offsets=settings.accept_offsets
    )
    mine = commit.committed.keys()
    configured = latest if settings.starting_offsets == "latest" else earliest
    group = GroupPosition(
        commit.committed,
        earliest={p: earliest[p] for p in mine},
        latest=latest,
        configured={p: configured[p] for p in mine},
    )
    position = checkpoint.read_position()
    plan = decide_resume(position, group, topic=topic, group_id=group_id)
    commit.claim(plan.seed, query_id or UNKNOWN_QUERY)
    checkpoint.note_topic_id(topic_id)
    logger.info("resume group=%s from=%s", group_id, plan.reason)
    if position is None or position.is_complete:
        return Takeover(plan, None)
    # Once is a crash like any other. Twice may be the batch's own doing.
    repeats = checkpoint.count_repeat(position.next_batch_id)
    return Takeover(plan, position.next_batch_id if repeats > 1 else None)
