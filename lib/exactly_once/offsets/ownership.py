"""Checks by their stamps that this query has committed the group's offsets. Pure.

Anybody can commit for a consumer group: tools set its offsets, other queries use its name by
mistake, consumers subscribe. Such offsets do not say what this query has answered. So a start
refuses them until a person accepts them (``--accept-offsets``), and a running query stops when it
finds them. Offsets that a person has set with ``jobs/offsets.py`` have a stamp, and are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib.errors import ResumeRefusedError, SinkOffsetsGoneError, SinkTakenOverError
from lib.exactly_once.offsets.acceptance import sign_offsets
from lib.exactly_once.offsets.stamp import PERSON, UNKNOWN_QUERY, Stamp


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about a group before a query starts.

    Attributes:
        committed: partition → offset, None where there is none.
        stamps: partition → its stamp, None where something else has committed the offset.
        topic_id: Kafka's id of the source topic now.
        members: the number of consumers that have joined the group.
        checkpoint_query_id: Spark's id of the query; None without a checkpoint.
        checkpoint_topic_id: Kafka's id of the topic that the checkpoint was made with; None if the
            checkpoint does not hold it.
    """

    committed: Mapping[int, int | None]
    stamps: Mapping[int, Stamp | None]
    topic_id: str
    members: int = 0
    checkpoint_query_id: str | None = None
    checkpoint_topic_id: str | None = None


def check_ownership(
    evidence: Evidence, *, topic: str, group_id: str, accepted: str | None = None
) -> bool:
    """Refuse offsets that this query cannot have committed.

    Args:
        evidence: read after the producer's ``init_transactions``, never before.
        topic: the source topic, for messages.
        group_id: the consumer group, for messages.
        accepted: the value with which a person accepts the offsets; see ``sign_offsets``. A group
            with members is refused nevertheless: they would commit again.

    Returns:
        Whether the offsets are taken only because a person accepts them.

    Raises:
        ResumeRefusedError: others have committed; the error says who, and what to do.
    """
    if evidence.members:
        raise ResumeRefusedError(
            f"{evidence.members} consumers have subscribed with group {group_id}: they commit"
            " offsets of their own",
            hint="stop them, or take another --query-name; what they have committed is refused"
            " next, see docs/refused_starts.md",
        )
    expected = sign_offsets(
        evidence.committed, topic=topic, topic_id=evidence.topic_id, group_id=group_id
    )
    try:
        _check_all(evidence, topic, group_id, f"start once with --accept-offsets {expected}")
    except ResumeRefusedError as refusal:
        if accepted == expected:
            return True
        if accepted is None:
            raise
        raise ResumeRefusedError(
            f"{refusal.message}; --accept-offsets {accepted} accepts other offsets than these,"
            " or another topic's",
            hint=refusal.hint,
        ) from None
    return False


def _check_all(evidence: Evidence, topic: str, group_id: str, accept: str) -> None:
    if evidence.checkpoint_topic_id not in (None, evidence.topic_id):
        raise ResumeRefusedError(
            f"the checkpoint was made with another topic {topic}: found topic id"
            f" {evidence.topic_id}, expected {evidence.checkpoint_topic_id}; it was deleted and"
            " recreated",
            hint="remove the checkpoint and delete the group's offsets to start over; if this is"
            f" a copy with the same offsets, {accept}",
        )
    for partition, offset in sorted(evidence.committed.items()):
        if offset is not None:
            place = f"{topic}[{partition}]@{offset} of group {group_id}"
            _check_stamp(evidence.stamps.get(partition), evidence, place, accept)


def _check_stamp(stamp: Stamp | None, evidence: Evidence, place: str, accept: str) -> None:
    if stamp is None:
        raise ResumeRefusedError(
            f"{place} was not committed by this job: it was set by hand, or by a consumer of that"
            " group",
            hint=f"if the offsets are right all the same, {accept}",
        )
    if stamp.topic_id != evidence.topic_id:
        raise ResumeRefusedError(
            f"{place} was committed for another topic of that name: found topic id"
            f" {stamp.topic_id}, expected {evidence.topic_id}; it was deleted and recreated",
            hint="delete the group's offsets to start over, or, if this is a copy with the same"
            f" offsets, {accept}",
        )
    expected = evidence.checkpoint_query_id
    if expected is not None and stamp.query_id not in (expected, UNKNOWN_QUERY, PERSON):
        raise ResumeRefusedError(
            f"{place} was committed by another query: found query id {stamp.query_id} (run"
            f" {stamp.run_id}, batch {stamp.batch_id}), the checkpoint's is {expected}",
            hint="give each query its own --query-name and --checkpoint; if this checkpoint is an"
            f" old one, remove it; if the offsets are right all the same, {accept}",
        )


def check_still_owner(
    stamps: Mapping[int, str | None],
    seen: Mapping[int, str | None],
    run_id: str,
    query_name: str,
) -> None:
    """Make sure that nobody has committed or deleted offsets since this driver looked last.

    Raises:
        SinkTakenOverError: another run has committed; the error names it.
        SinkOffsetsGoneError: offsets were deleted, or expired.
    """
    successor = find_foreign(stamps, seen, run_id)
    if successor is not None:
        partition, who = successor
        raise SinkTakenOverError(
            f"group {query_name} was taken over: partition {partition} was committed by {who}"
        )
    gone = [p for p, metadata in sorted(stamps.items()) if metadata is None and seen.get(p)]
    if gone:
        raise SinkOffsetsGoneError(
            f"group {query_name} has lost its offsets of the partitions {gone} while the job was"
            " running"
        )


def find_foreign(
    stamps: Mapping[int, str | None], seen: Mapping[int, str | None], run_id: str
) -> tuple[int, str] | None:
    """Find (partition, committer) of an offset that is new and not committed by this run."""
    for partition, metadata in sorted(stamps.items()):
        stamp = Stamp.from_metadata(metadata)
        is_ours = stamp is not None and stamp.run_id == run_id
        if metadata is not None and not is_ours and metadata != seen.get(partition):
            who = f"run {stamp.run_id}, batch {stamp.batch_id}" if stamp else "an unknown client"
            return partition, who
    return None
