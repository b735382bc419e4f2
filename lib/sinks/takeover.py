"""How a run takes a query over from the one before it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from confluent_kafka.admin import AdminClient

from lib.sinks.checkpoint import CheckpointReader
from lib.sinks.commit import CommitStrategy
from lib.sinks.partition_writers import Predecessors
from lib.sinks.resume import ResumePlan
from lib.sinks.settings import ExactlyOnceSettings
from lib.sinks.stamp import UNKNOWN_QUERY
from lib.sinks.survey import check_survey, decide, find_partitions, refuse_early, take_survey

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
    stand_by: Callable[[], bool],
) -> Takeover:
    """Decide where to resume, fence older runs, decide again, sign the group's offsets.

    What can be refused is refused before anything is fenced: a start that must not be leaves a job
    that is running alone.

    Args:
        settings: of the sink.
        checkpoint: of the query; a mark of the topic is left in it.
        commit: not open yet, or to be opened anew.
        admin: for what brokers know of topic and group.
        topic_id: Kafka's id of the source topic.
        stand_by: waits until no other run is alive; whether it had to.

    Raises:
        ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
        SinkFencedError: another run has taken over meanwhile.
        SinkFencedByTaskError: a task of an older run was still writing; the next attempt fences it.
        KafkaException: the brokers do not tell.
    """
    survey = partial(take_survey, settings, checkpoint, admin, topic_id)
    before = survey()
    refuse_early(settings, before)
    if stand_by():
        before = survey()
        refuse_early(settings, before)
    query_id = before.query_id or UNKNOWN_QUERY

    def check(partition: int, offset: int | None, metadata: str | None) -> None:
        found = replace(before, committed={partition: offset}, stamps={partition: metadata})
        check_survey(settings, found)

    commit.open(
        Predecessors(
            before.stamps,
            before.brokers,
            query_id,
            find_partitions=partial(find_partitions, admin, settings),
            check=check,
        )
    )
    after = replace(
        survey(),
        committed=commit.committed,
        stamps=commit.stamps,
    )
    plan = decide(settings, after)
    commit.claim(plan.seed, query_id)
    checkpoint.note_topic_id(topic_id)
    logger.info("resume group=%s from=%s", settings.query_name, plan.reason)
    position = after.position
    if position is None or position.is_complete:
        return Takeover(plan, None)
    # Once is a crash like any other. Twice may be the batch's own doing.
    repeats = checkpoint.count_repeat(position.next_batch_id)
    return Takeover(plan, position.next_batch_id if repeats > 1 else None)
