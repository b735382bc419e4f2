"""Decides where a run goes on to read the dead letters. Pure.

Kafka forgets the offsets of a group, by default a week after their last commit, and dead letters
stay longer than that. So a missing offset does not mean that nothing was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lib.errors import ResendRefusedError
from lib.exactly_once.offsets.stamp import UNKNOWN_TOPIC, Stamp

_READER = re.compile(r"resend:(\d+)")


@dataclass(frozen=True)
class GroupState:
    """The offsets of the group and of the topic, before anything is read.

    Attributes:
        committed: partition of the dead-letter topic → the group's offset, None where it has none.
        stamps: partition → stamp of that offset, None where it has none.
        earliest: partition → oldest offset.
        latest: partition → next offset.
        topic_id: Kafka's id of the topic.
    """

    committed: Mapping[int, int | None]
    stamps: Mapping[int, Stamp | None]
    earliest: Mapping[int, int]
    latest: Mapping[int, int]
    topic_id: str


def name_reader(partition_count: int) -> str:
    """Make the text that a run puts into its stamps, where other jobs have their query's id.

    Args:
        partition_count: the number of partitions of the topic, whose positions the run commits. If
            a later partition has no position, it is new; any other one has lost its position.
    """
    return f"resend:{partition_count}"


def is_reader(stamp: Stamp) -> bool:
    """Tell whether an offset was committed by a run of this job."""
    return _READER.fullmatch(stamp.query_id) is not None


def decide_starts(
    found: GroupState, *, topic: str, group_id: str, from_beginning: bool = False
) -> dict[int, int]:
    """Decide where reading begins, partition by partition.

    Args:
        found: the offsets, read when no other run can commit any more or to refuse early.
        topic: the dead-letter topic, for messages.
        group_id: the consumer group, for messages.
        from_beginning: whether a person says that letters without a known position have not been
            sent yet, or may be sent again.

    Returns:
        Partition → offset, for all partitions.

    Raises:
        ResendRefusedError: letters might be sent a second time, or be passed over.
    """
    known = {it: at for it, at in found.committed.items() if at is not None}
    for partition, offset in sorted(known.items()):
        _check_position(found, partition, offset, topic=topic, group_id=group_id)
    missing = [it for it in sorted(found.committed) if it not in known]
    # In a partition without letters none can be sent twice.
    lost = [it for it in missing if found.earliest[it] < found.latest[it] and not is_new(found, it)]
    if from_beginning and known and not lost:
        raise ResendRefusedError(
            f"--from-beginning is for the first run under a name, but group {group_id} has read"
            f" {topic} before, up to {spell_positions(known)}",
            hint="leave it out to go on from there; another --resend-name starts over, and sends"
            " every letter again",
        )
    if lost and not from_beginning:
        places = ", ".join(f"[{it}]" for it in lost)
        known_places = f", those of {spell_positions(known)} are there" if known else ""
        raise ResendRefusedError(
            f"group {group_id} has no position in the partitions {places} of {topic}{known_places}:"
            " it has not read them yet, or its positions were deleted or have expired",
            hint="if this is the first run under this name, add --from-beginning; if it is not,"
            " that would send letters a second time: set the positions to what the last run"
            " printed, see 'Sending them again' in docs/dead_letters.md",
        )
    return {it: known.get(it, found.earliest[it]) for it in found.committed}


def _check_position(
    found: GroupState, partition: int, offset: int, *, topic: str, group_id: str
) -> None:
    """Refuse a position that was committed for another topic of that name."""
    place = f"{topic}[{partition}]@{offset} of group {group_id}"
    stamp = found.stamps.get(partition)
    hint = (
        "if it was recreated, delete the group's positions (jobs/offsets.py delete --query-name"
        f" {group_id} --input-topic {topic}) and add --from-beginning"
    )
    if stamp is not None and stamp.topic_id not in (UNKNOWN_TOPIC, found.topic_id):
        raise ResendRefusedError(
            f"{place} was committed for another topic of that name: found topic"
            f" id {stamp.topic_id}, expected {found.topic_id}; it was deleted and recreated",
            hint=hint,
        )
    if offset > found.latest[partition]:
        raise ResendRefusedError(
            f"{place} is past the end of the topic, @{found.latest[partition]}:"
            " it was deleted and recreated, or the position was set by hand",
            hint=hint,
        )


def is_new(found: GroupState, partition: int) -> bool:
    """Tell whether the topic got a partition after the last run."""
    readers = (_READER.fullmatch(it.query_id) for it in found.stamps.values() if it is not None)
    counts = [int(reader[1]) for reader in readers if reader is not None]
    return bool(counts) and partition >= max(counts)


def spell_positions(positions: Mapping[int, int]) -> str:
    """Write positions for people, as ``[0]@20, [1]@15``."""
    return ", ".join(f"[{it}]@{at}" for it, at in sorted(positions.items()))
