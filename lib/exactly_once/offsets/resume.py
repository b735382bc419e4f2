"""Decides where each partition resumes, from the checkpoint and the committed offsets. Pure.

``docs/refused_starts.md`` holds the table of all cases, and the tests go through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lib.errors import ResumeRefusedError
from lib.exactly_once.offsets.range_end import RangeEnd

Offsets = Mapping[int, int]

# The reason why an offset may lie past the last stable one, and what to do.
_UNSTABLE = (
    "a transaction on the topic is still open below it, or the topic was recreated or cut off"
)
_WAIT = "wait until the producer of that transaction has ended it, or its timeout has"


@dataclass(frozen=True)
class CheckpointPosition:
    """The position in Spark's checkpoint.

    Attributes:
        next_batch_id: the batch that Spark would run next, perhaps for the second time.
        start: partition → first offset of that batch. New partitions are absent.
        is_complete: whether every batch that was begun is known to be finished.
        query_name: the name of the query that has used the checkpoint last; None if the checkpoint
            does not hold it.
    """

    next_batch_id: int
    start: Offsets
    is_complete: bool
    query_name: str | None = None


@dataclass(frozen=True)
class CheckpointDamage:
    """Spark's checkpoint cannot be read, or must not be used any more.

    Attributes:
        description: the file and what is wrong with it, like "…/offsets/3 is empty".
    """

    description: str


#: The state of a checkpoint; None where it holds no position yet.
CheckpointFinding = CheckpointPosition | CheckpointDamage | None


@dataclass(frozen=True)
class GroupPosition:
    """The offsets that Kafka has for the source topic and the consumer group.

    Attributes:
        committed: partition that the query reads → the group's committed offset, None where it has
            none.
        earliest: partition → oldest offset that still exists.
        latest: partition of the topic, read by the query or not → its last stable offset, which is
            the begin of the oldest open transaction or the end of the partition.
        configured: partition → offset of ``--starting-offsets``.
        chosen: the partitions whose committed offset a person has set with ``jobs/offsets.py``.
    """

    committed: Mapping[int, int | None]
    earliest: Offsets
    latest: Offsets
    configured: Offsets
    chosen: frozenset[int] = frozenset()

    @property
    def has_commits(self) -> bool:
        """Whether the group has committed anything at all."""
        return any(offset is not None for offset in self.committed.values())


@dataclass(frozen=True)
class ResumePlan:
    """The plan for the start of a query.

    Attributes:
        reason: the reason, for the log.
        starting_offsets: the offsets at which Spark has to start; None where its checkpoint
            decides.
        seed: offsets that the group lacks. They are committed first, so that a missing offset
            always means that it was deleted or has expired.
        set_aside: the reason why the query needs a new checkpoint; None where it keeps the one it
            has.
        trimmed: partition that was never read → its oldest offset, if it is not 0.
        end: the end of a run that answers a range; None for a run without an end.
        is_done: whether all before that end has been answered.
    """

    reason: str
    starting_offsets: Offsets | None = None
    seed: Offsets = field(default_factory=dict)
    set_aside: str | None = None
    trimmed: Offsets = field(default_factory=dict)
    end: RangeEnd | None = None
    is_done: bool = False


def decide_resume(
    checkpoint: CheckpointFinding,
    group: GroupPosition,
    *,
    topic: str,
    group_id: str,
    distrust: str | None = None,
    end: RangeEnd | None = None,
) -> ResumePlan:
    """Decide where the query resumes without losing or repeating a record.

    Args:
        checkpoint: the state of the checkpoint; None where it holds no position.
        group: the offsets of topic and group. They have to be read after the producer's
            ``init_transactions``.
        topic: the source topic, for messages.
        group_id: the consumer group, for messages.
        distrust: the reason, if Spark has said that it cannot go on from its checkpoint.
        end: the end of a run that answers a range; None for a run without an end.

    Raises:
        ResumeRefusedError: any start would lose or repeat records.
    """
    if end is None:
        return _decide(checkpoint, group, topic, group_id, distrust)
    if group.has_commits and end.is_reached(group.committed):
        there = {p: at for p, at in group.committed.items() if at is not None}
        starting = there if checkpoint is None else None
        return ResumePlan("nothing is left of the range", starting, end=end, is_done=True)
    if isinstance(checkpoint, CheckpointPosition):
        # Its batches may have reached beyond the end, which says nothing about answers.
        checkpoint = replace(checkpoint, start=end.clip(checkpoint.start))
    plan = _decide(checkpoint, group, topic, group_id, distrust)
    return replace(plan, end=end, is_done=end.is_reached({**group.committed, **plan.seed}))


def _decide(
    checkpoint: CheckpointFinding,
    group: GroupPosition,
    topic: str,
    group_id: str,
    distrust: str | None,
) -> ResumePlan:
    source = _Source(topic, group_id, group)
    if not isinstance(checkpoint, CheckpointPosition):
        source.check_stable()
    match checkpoint:
        case CheckpointDamage(description):
            return source.resume_despite(description)
        case CheckpointPosition():
            return source.resume_from(checkpoint, distrust)
    if group.has_commits:
        return source.resume_at("no checkpoint: the group's committed offsets", {})
    return ResumePlan(
        "first start: the configured position",
        starting_offsets=group.configured,
        seed=group.configured,
    )


@dataclass(frozen=True)
class _Source:
    """The topic and its group, with their names for messages."""

    topic: str
    group_id: str
    group: GroupPosition

    def resume_at(self, reason: str, known: Offsets, *, set_aside: str | None = None) -> ResumePlan:
        """Resume without a checkpoint, at the group's offsets.

        Args:
            reason: the reason, for the log.
            known: partition → offset, for partitions whose offsets the group may lack. All other
                partitions without an offset are new, and start at their oldest record.
            set_aside: the reason why the checkpoint is not used, if there is one.
        """
        group, starting, seed, trimmed = self.group, {}, {}, {}
        for partition, committed in sorted(group.committed.items()):
            earliest = group.earliest[partition]
            start = known.get(partition) if committed is None else committed
            if start is None:
                start = earliest
                if earliest > 0:
                    trimmed[partition] = earliest
            elif start < earliest:
                raise self._refuse_lost(partition, start)
            starting[partition] = start
            if committed is None:
                seed[partition] = start
        return ResumePlan(reason, starting, seed, set_aside, trimmed)

    def resume_despite(self, damage: str) -> ResumePlan:
        """Resume with a damaged checkpoint, which needs an offset of the group everywhere."""
        lacking = [p for p, offset in sorted(self.group.committed.items()) if offset is None]
        if lacking:
            raise ResumeRefusedError(
                f"the checkpoint is damaged: {damage}; and group {self.group_id} has no committed"
                f" offset for {self._name(lacking)}, which would tell where to go on",
                hint=f"restore the checkpoint from a backup; or {self._look()}, and remove the"
                " checkpoint",
            )
        return self.resume_at(
            "the group's offsets: the checkpoint is damaged", {}, set_aside=damage
        )

    def resume_from(self, checkpoint: CheckpointPosition, distrust: str | None) -> ResumePlan:
        """Resume with a checkpoint that says where its next batch starts."""
        self._check_extent(checkpoint)
        self.check_stable()
        missing = self._find_missing(checkpoint)
        set_aside = distrust or self._find_rewound(checkpoint) or self._find_trimmed(checkpoint)
        if set_aside is not None:
            reason = "the group's offsets: Spark cannot go on from its checkpoint"
            return self.resume_at(reason, missing, set_aside=set_aside)
        reason = "the checkpoint; the group had no offsets" if missing else "the checkpoint"
        # A new partition is claimed too, at its oldest record, so that no other run writes it.
        new = {
            partition: self.group.earliest[partition]
            for partition, committed in self.group.committed.items()
            if committed is None and partition not in checkpoint.start
        }
        return ResumePlan(reason, seed={**missing, **new})

    def check_stable(self) -> None:
        """Refuse an offset past the last stable one, which this query cannot have committed.

        Nobody can read beyond the last stable offset. Spark refuses to start there: the end of its
        batch would lie before the start.
        """
        for partition, committed in sorted(self.group.committed.items()):
            latest = self.group.latest.get(partition, 0)
            if committed is not None and committed > latest:
                raise ResumeRefusedError(
                    f"group {self.group_id} committed {self.topic}[{partition}]@{committed}, past"
                    f" the last stable offset @{latest}: {_UNSTABLE}",
                    hint=f"{_WAIT}; if there is no open transaction, set the group's offset with"
                    f" {self._command(partition, 'OFFSET')}",
                )

    def _check_extent(self, checkpoint: CheckpointPosition) -> None:
        """Refuse a checkpoint that reads other partitions, or is past the end of the topic."""
        group = self.group
        left_out = sorted((checkpoint.start.keys() & group.latest.keys()) - group.committed.keys())
        if left_out:
            raise ResumeRefusedError(
                f"the checkpoint's query reads the partitions {left_out} of {self.topic} too, which"
                " this one leaves out: their records would not be answered",
                hint="name them among --partitions again; a query of other partitions takes another"
                " --query-name and --checkpoint",
            )
        for partition, start in sorted(checkpoint.start.items()):
            latest = group.latest.get(partition, 0)
            if start > latest:
                raise ResumeRefusedError(
                    f"the checkpoint's batch {checkpoint.next_batch_id} starts at"
                    f" {self.topic}[{partition}]@{start}, past the last stable offset @{latest}:"
                    f" {_UNSTABLE}",
                    hint=f"{_WAIT}; if there is no open transaction, remove the checkpoint and"
                    " delete the group's offsets to start over",
                )

    def _find_missing(self, checkpoint: CheckpointPosition) -> Offsets:
        """Find partition → the checkpoint's offset, where the group has none; refuse losses."""
        batch, missing = checkpoint.next_batch_id, {}
        for partition, start in sorted(checkpoint.start.items()):
            committed = self.group.committed.get(partition)
            if committed is None:
                missing[partition] = start
            elif committed < start and partition not in self.group.chosen:
                raise ResumeRefusedError(
                    f"group {self.group_id} committed {self.topic}[{partition}]@{committed}, but"
                    f" the checkpoint's batch {batch} starts @{start}: {start - committed} offsets"
                    " would never be scored",
                    hint="if the group was rewound to score records again, or the checkpoint"
                    " belongs to another run, remove the checkpoint to resume at the group's"
                    f" offsets; if it was rewound by mistake, {self._look()}",
                )
        if missing and checkpoint.query_name not in (None, self.group_id):
            raise ResumeRefusedError(
                f"the checkpoint belongs to query {checkpoint.query_name}, and group"
                f" {self.group_id} has no committed offset for {self._name(missing)}",
                hint="name another --checkpoint to begin at --starting-offsets; to go on where that"
                " query was, stop it and run jobs/offsets.py copy --from-group"
                f" {checkpoint.query_name} --query-name {self.group_id} --input-topic {self.topic}",
            )
        if missing and not checkpoint.is_complete:
            raise ResumeRefusedError(
                f"group {self.group_id} has no committed offset for {self._name(missing)}, and"
                f" batch {batch} of the checkpoint may or may not have been written: the offsets"
                " expired or were deleted",
                hint=f"the batch starts at {dict(missing)}; {self._look()}",
            )
        return missing

    def _find_rewound(self, checkpoint: CheckpointPosition) -> str | None:
        """Describe an offset that a person has set to before the next batch, if there is one."""
        for partition, start in sorted(checkpoint.start.items()):
            committed = self.group.committed.get(partition)
            if committed is not None and committed < start:
                return (
                    f"jobs/offsets.py has set {self.topic}[{partition}]@{committed}, and batch"
                    f" {checkpoint.next_batch_id} starts @{start}"
                )
        return None

    def _find_trimmed(self, checkpoint: CheckpointPosition) -> str | None:
        """Describe records that Spark would miss in its next batch, if retention deleted some.

        Spark expects a partition that it has not read yet to start with the offset 0.
        """
        for partition, earliest in sorted(self.group.earliest.items()):
            start = checkpoint.start.get(partition, 0)
            if start < earliest:
                return (
                    f"batch {checkpoint.next_batch_id} starts at {self.topic}[{partition}]@{start},"
                    f" the oldest record left is @{earliest}"
                )
        return None

    def _refuse_lost(self, partition: int, start: int) -> ResumeRefusedError:
        earliest = self.group.earliest[partition]
        return ResumeRefusedError(
            f"group {self.group_id} is at {self.topic}[{partition}]@{start}, but the oldest record"
            f" left is @{earliest}: {earliest - start} offsets were deleted unscored",
            hint="give the topic a longer retention; to go on without them, set the group's offset"
            f" of this partition with {self._command(partition, earliest)}",
        )

    def _look(self) -> str:
        """Say what to do where only the output tells how far a partition was answered."""
        return (
            "look for the first record without an answer, as docs/refused_starts.md says, and set"
            f" the group's offset to it with {self._command('PARTITION', 'OFFSET')}"
        )

    def _command(self, partition: int | str, offset: int | str) -> str:
        return (
            f"jobs/offsets.py set --query-name {self.group_id} --input-topic {self.topic}"
            f" --partitions {partition} --to {offset}"
        )

    def _name(self, partitions: Iterable[int]) -> str:
        return ", ".join(f"{self.topic}[{partition}]" for partition in partitions)
