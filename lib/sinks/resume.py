"""Where to start: one decision for each partition, from the checkpoint and the committed offsets.

Pure. The table it implements stands in ``docs/adr/0001-exactly-once-sink.md``; the tests are it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lib.errors import ResumeRefusedError

Offsets = Mapping[int, int]

# Why an offset may lie past the last stable one, and the way out.
_UNSTABLE = (
    "a transaction on the topic is still open below it, or the topic was recreated or cut off"
)
_WAIT = "wait until the producer of that transaction has ended it, or its timeout has"


@dataclass(frozen=True)
class CheckpointPosition:
    """What Spark's checkpoint says.

    Attributes:
        next_batch_id: the batch that Spark would run next, maybe again.
        start: partition → first offset of that batch. New partitions are absent.
        is_complete: whether every batch that was begun is known to be finished.
    """

    next_batch_id: int
    start: Offsets
    is_complete: bool


@dataclass(frozen=True)
class GroupPosition:
    """What Kafka says about the source topic and the consumer group.

    Attributes:
        committed: partition that the query reads → the group's committed offset, None where it has
            none.
        earliest: partition → oldest offset that still exists.
        latest: partition of the topic, also one that the query does not read → its last stable
            offset: where the oldest open transaction begins, or the end of the topic.
        configured: partition → where ``--starting-offsets`` points to.
    """

    committed: Mapping[int, int | None]
    earliest: Offsets
    latest: Offsets
    configured: Offsets

    @property
    def has_commits(self) -> bool:
        """Whether the group has committed anything at all."""
        return any(offset is not None for offset in self.committed.values())


@dataclass(frozen=True)
class ResumePlan:
    """What to do before the query starts.

    Attributes:
        reason: for the log.
        starting_offsets: where Spark has to start; None where its checkpoint decides.
        seed: offsets that the group lacks; they are committed first, so that a missing offset
            always means that somebody or something deleted it.
    """

    reason: str
    starting_offsets: Offsets | None = None
    seed: Offsets = field(default_factory=dict)


def decide_resume(
    checkpoint: CheckpointPosition | None, group: GroupPosition, *, topic: str, group_id: str
) -> ResumePlan:
    """Decide where the query resumes without losing or repeating a record.

    Args:
        checkpoint: None where there is none, or none that says a position.
        group: read after the producer's ``init_transactions``, never before.
        topic: the source topic, for messages.
        group_id: the consumer group, for messages.

    Raises:
        ResumeRefusedError: any start would lose or repeat records.
    """
    if checkpoint is not None:
        return _resume_from_checkpoint(checkpoint, group, topic, group_id)
    _check_stable(group, topic, group_id)
    if group.has_commits:
        return _resume_from_group(group, topic, group_id)
    return ResumePlan(
        "first start: the configured position",
        starting_offsets=group.configured,
        seed=group.configured,
    )


def _resume_from_group(group: GroupPosition, topic: str, group_id: str) -> ResumePlan:
    starting = {}
    for partition, committed in sorted(group.committed.items()):
        earliest = group.earliest[partition]
        if committed is not None and committed < earliest:
            raise ResumeRefusedError(
                f"group {group_id} committed {topic}[{partition}]@{committed}, but the oldest"
                f" record left is @{earliest}: {earliest - committed} offsets were deleted"
                " unscored",
                hint="give the topic a longer retention; to go on without them, set the group's"
                f" offset with kafka-consumer-groups --group {group_id} --reset-offsets",
            )
        starting[partition] = earliest if committed is None else committed
    new = {p: starting[p] for p, committed in group.committed.items() if committed is None}
    return ResumePlan(
        "no checkpoint: the group's committed offsets", starting_offsets=starting, seed=new
    )


def _check_stable(group: GroupPosition, topic: str, group_id: str) -> None:
    """Nobody can have read beyond the last stable offset, so no such offset was committed for it.

    Spark refuses to start there: its end would lie before its start.
    """
    for partition, committed in sorted(group.committed.items()):
        latest = group.latest.get(partition, 0)
        if committed is not None and committed > latest:
            raise ResumeRefusedError(
                f"group {group_id} committed {topic}[{partition}]@{committed}, past the last stable"
                f" offset @{latest}: {_UNSTABLE}",
                hint=f"{_WAIT}; if there is no open transaction, set the group's offset with"
                f" kafka-consumer-groups --group {group_id} --reset-offsets, and start once with"
                " --accept-offsets",
            )


def _check_extent(checkpoint: CheckpointPosition, group: GroupPosition, topic: str) -> None:
    """A topic that is shorter than the checkpoint says is not the topic that was read."""
    left_out = sorted((checkpoint.start.keys() & group.latest.keys()) - group.committed.keys())
    if left_out:
        raise ResumeRefusedError(
            f"the checkpoint's query reads the partitions {left_out} of {topic} too, which this one"
            " leaves out: their records would not be answered",
            hint="name them among --partitions again; a query of other partitions takes another"
            " --query-name and --checkpoint",
        )
    for partition, start in sorted(checkpoint.start.items()):
        latest = group.latest.get(partition, 0)
        if start > latest:
            raise ResumeRefusedError(
                f"the checkpoint's batch {checkpoint.next_batch_id} starts at"
                f" {topic}[{partition}]@{start}, past the last stable offset @{latest}:"
                f" {_UNSTABLE}",
                hint=f"{_WAIT}; if there is no open transaction, remove the checkpoint and delete"
                " the group's offsets to start over",
            )


def _resume_from_checkpoint(
    checkpoint: CheckpointPosition, group: GroupPosition, topic: str, group_id: str
) -> ResumePlan:
    batch = checkpoint.next_batch_id
    _check_extent(checkpoint, group, topic)
    _check_stable(group, topic, group_id)
    missing = {}
    for partition, start in sorted(checkpoint.start.items()):
        committed = group.committed.get(partition)
        if committed is None:
            missing[partition] = start
        elif committed < start:
            raise ResumeRefusedError(
                f"group {group_id} committed {topic}[{partition}]@{committed}, but the checkpoint's"
                f" batch {batch} starts @{start}: {start - committed}"
                " offsets would never be scored",
                hint="the group was rewound or the checkpoint belongs to another run: remove the"
                " checkpoint to resume at the group's offsets",
            )
    if missing and not checkpoint.is_complete:
        listed = ", ".join(f"{topic}[{partition}]" for partition in missing)
        raise ResumeRefusedError(
            f"group {group_id} has no committed offset for {listed}, and batch {batch} of the"
            " checkpoint may or may not have been written: the offsets expired or were deleted",
            hint=f"look for batch {batch} in the output, then set the group's offsets with"
            f" kafka-consumer-groups --group {group_id} --reset-offsets; its start is"
            f" {dict(missing)}",
        )
    reason = "the checkpoint; the group had no offsets" if missing else "the checkpoint"
    new = {
        partition: group.earliest[partition]
        for partition, committed in group.committed.items()
        if committed is None and partition not in checkpoint.start
    }
    return ResumePlan(reason, seed=missing | new)
