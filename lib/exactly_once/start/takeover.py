"""Takes a query over from the run before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from confluent_kafka.admin import AdminClient

from lib.errors import SinkTakenOverError
from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.commit.base import CommitStrategy
from lib.exactly_once.commit.partition_writers import Predecessors
from lib.exactly_once.offsets.lease import Owner
from lib.exactly_once.offsets.resume import CheckpointPosition, ResumePlan
from lib.exactly_once.offsets.stamp import UNKNOWN_QUERY
from lib.exactly_once.start.overlap import warn_of_overlaps
from lib.exactly_once.start.snapshot import (
    Snapshot,
    check_snapshot,
    decide,
    find_partitions,
    refuse_early,
    take_snapshot,
)
from lib.exactly_once.transaction.settings import ExactlyOnceSettings
from lib.kafka.admin import ask_brokers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Takeover:
    """The result of taking a query over.

    Attributes:
        plan: the plan that says where the query resumes.
        suspect_batch: the number of its first batch, if more than one run has ended in that batch;
            otherwise None.
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
    find_rival: Callable[[Snapshot, Mapping[int, str | None]], Owner | None],
    distrust: str | None = None,
) -> Takeover:
    """Decide where to resume, fence older runs, decide again, sign the group's offsets.

    As much as possible is refused before anything is fenced, so that a start that is refused does
    not disturb a running job.

    Args:
        settings: the settings of the sink.
        checkpoint: the checkpoint of the query; the topic's id and the query's name are noted in
            it.
        commit: the commit strategy, which this opens.
        admin: a client that is asked for topic and group.
        topic_id: Kafka's id of the source topic.
        stand_by: a function that waits until no other run is alive, and tells whether it had to.
        find_rival: a function that returns the run that has signed offsets between a snapshot and
            later stamps, if this start has to wait for it. This start has fenced that run, which
            opens its producer again unless it finds this start's claim.
        distrust: the reason, if Spark has said that it cannot go on from its checkpoint.

    Raises:
        ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
        SinkFencedError: another run has taken over meanwhile.
        SinkFencedByTaskError: a task of an older run was still writing; the next attempt fences it.
        KafkaException: the brokers do not tell.
    """
    snapshot = partial(take_snapshot, settings, checkpoint, admin, topic_id)
    before = snapshot()
    refuse_early(settings, before)
    if stand_by():
        before = snapshot()
        refuse_early(settings, before)
    query_id = before.query_id or UNKNOWN_QUERY

    def refuse_rival(stamps: Mapping[int, str | None]) -> None:
        rival = find_rival(before, stamps)
        if rival is not None:
            raise SinkTakenOverError(f"query {settings.query_name} was taken over by {rival}")

    def check(partition: int, offset: int | None, metadata: str | None) -> None:
        refuse_rival({partition: metadata})
        committed, stamps = {partition: offset}, {partition: metadata}
        if settings.accept_offsets is not None:
            # A person accepts all offsets together.
            committed, stamps = {**before.committed, **committed}, {**before.stamps, **stamps}
        check_snapshot(settings, replace(before, committed=committed, stamps=stamps))

    commit.open(
        Predecessors(
            before.stamps,
            len(ask_brokers(admin)),
            query_id,
            find_partitions=partial(find_partitions, admin, settings),
            check=check,
        )
    )
    refuse_rival(commit.stamps)
    after = snapshot(commit)
    plan = decide(settings, after, distrust)
    is_kept = plan.set_aside is None
    # A new checkpoint gives the query a new id.
    commit.claim(plan.seed, query_id if is_kept else UNKNOWN_QUERY)
    if not is_kept:
        # Only after the claim is it certain that no other run uses the checkpoint.
        _set_aside(checkpoint, plan, settings)
    checkpoint.note_topic_id(topic_id)
    checkpoint.note_query_name(settings.query_name)
    _tell(settings, after, plan)
    warn_of_overlaps(admin, settings, commit.committed.keys())
    found = after.position
    if not (isinstance(found, CheckpointPosition) and is_kept) or found.is_complete:
        return Takeover(plan, None)
    # One repetition follows any crash. After two, the batch itself may be the cause.
    repeats = checkpoint.count_repeat(found.next_batch_id)
    return Takeover(plan, found.next_batch_id if repeats > 1 else None)


def _set_aside(
    checkpoint: CheckpointReader, plan: ResumePlan, settings: ExactlyOnceSettings
) -> None:
    target = checkpoint.set_aside(datetime.now(UTC))
    logger.warning(
        "checkpoint %s cannot be used: %s; it was renamed to %s, and the query goes on from the"
        " offsets of group %s",
        *(settings.checkpoint, plan.set_aside, target, settings.query_name),
    )


def _tell(settings: ExactlyOnceSettings, snapshot: Snapshot, plan: ResumePlan) -> None:
    """Log how the query resumes, and what a person should know about it."""
    if settings.accept_offsets is not None and not check_snapshot(settings, snapshot):
        logger.warning(
            "--accept-offsets %s is not needed: the group's offsets are this query's own; take it"
            " out of the settings",
            settings.accept_offsets,
        )
    if plan.is_done:
        logger.warning(
            "nothing is left up to --ending-offsets: group %s is there already",
            settings.query_name,
        )
    for partition, oldest in plan.trimmed.items():
        logger.warning(
            "%s[%d] was never read by group %s: it begins at its oldest record, @%d; %d offsets"
            " before it were not there to be read",
            *(settings.source_topic, partition, settings.query_name, oldest, oldest),
        )
    logger.info("resume group=%s from=%s", settings.query_name, plan.reason)
