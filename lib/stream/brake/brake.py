"""Judges batches by the share of dead letters, before they are written where a sink of ours writes.

The driver has one brake, which learns of each batch that was written. With commits on executors,
tasks get a copy, and judge the part of their source partition after what the driver knows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.errors import BrakeError
from lib.stream.brake.broken import describe_broken, read_broken
from lib.stream.brake.sample import Look
from lib.stream.brake.window import (
    Excess,
    Limit,
    Outcomes,
    find_excess,
    keep_last,
    order_records,
    spread,
)
from lib.telemetry.brake import BrakeState

logger = logging.getLogger(__name__)

# With commits on executors other tasks may have written the parts of their partitions.
_HINT_OF_TASKS = BrakeError.remedy.replace("this batch", "this partition's part of the batch")
_HINT_WRITTEN = (
    "this batch is written, and nothing after it; correct the contract, the model or the topic and"
    " start it again, or start it once with --once-accept-dead-letters to write the dead letters of"
    " all that the topic holds; docs/brake.md"
)
_MODEL_FAILS = "its last records keep the contract, so the model fails on them"
_NONE: Outcomes = np.zeros(0, np.bool_)
# While too many records are dead letters, and the brake does not stop, a line says so this often.
_WARN_EVERY_S = 60.0


@dataclass(frozen=True)
class BrakeRule:
    """The settings of the brake.

    Attributes:
        limit: the share of dead letters that is allowed, and over how many records.
        stops: whether the job stops at more, instead of warning.
        input_topic, output_topic, dead_letter_topic: the topics.
    """

    limit: Limit
    stops: bool
    input_topic: str
    output_topic: str
    dead_letter_topic: str


@dataclass(frozen=True)
class _Trial:
    """The outcomes and ends that hold once the messages are written that were judged."""

    recent: Outcomes
    ends: Mapping[int, int]
    excess: Excess | None
    broken: str | None = None


class Brake:
    """Keeps the outcomes of the last records, and judges those of a batch.

    Nothing is judged before the job has seen as many records as the limit is taken over. A record
    counts once, however often its batch is repeated. Those that an earlier run has answered, and
    those that a person has accepted, neither count nor are judged.

    Args:
        rule: the settings.
        on_state: a function that gets the new state after each batch, and before a stop.
        recent: the outcomes of the records before the first batch, as an earlier run left them.
        look: a function that looks at records of a batch of which only the counts are known.
    """

    def __init__(
        self,
        rule: BrakeRule,
        on_state: Callable[[BrakeState], None] = lambda _: None,
        recent: Outcomes = _NONE,
        look: Look | None = None,
    ) -> None:
        self.rule = rule
        self._on_state: Callable[[BrakeState], None] | None = on_state
        self._look: Look | None = look
        self._recent = keep_last(_NONE, recent, rule.limit.over)
        # Partition → the offset below which records do not count.
        self._floors: dict[int, int] = {}
        self._trial: _Trial | None = None
        self._warned_s = -inf
        self._is_engaged = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what tasks get."""
        return {**self.__dict__, "_on_state": None, "_look": None, "_trial": None}

    @property
    def recent(self) -> Outcomes:
        """The outcomes of the last records whose answers were written."""
        return self._recent

    def pass_over(self, ends: Mapping[int, int | None]) -> Self:
        """Neither count nor judge the records below these offsets; partition → offset."""
        for partition, end in ends.items():
            self._floors[partition] = max(end or 0, self._floors.get(partition, 0))
        return self

    def judge(self, messages: pa.Table) -> None:
        """Judge messages that are about to be written: all of a batch, or those of a partition.

        Args:
            messages: the columns of :data:`lib.messages.columns.MESSAGE_SCHEMA`.

        Raises:
            BrakeError: there are too many dead letters, and the brake stops the job.
        """
        if self._on_state is None and not self.rule.stops:
            return  # the driver warns
        self._settle(messages)
        messages = self._drop_others(messages)
        positions = messages["source_partition"].to_numpy(), messages["source_offset"].to_numpy()
        is_dead = pc.equal(messages["topic"], self.rule.dead_letter_topic).to_numpy()
        order = order_records(positions[0]) if is_dead.any() else None
        new = is_dead if order is None else is_dead[order]
        limit = self.rule.limit
        excess, broken = find_excess(self._recent, new, limit), None
        if excess is not None:
            first = max(0, excess.last + 1 - limit.over)
            rows = np.arange(first, excess.last + 1)
            rows = rows if order is None else order[rows]
            letters = messages.take(pa.array(np.sort(rows[is_dead[rows]])))
            broken = describe_broken(read_broken(letters, self.rule.input_topic))
            if self.rule.stops:
                self._tell(excess.dead / limit.over, is_engaged=True)
                hint = _HINT_OF_TASKS if self._on_state is None else None
                raise BrakeError(self._describe(excess.dead, broken), hint=hint)
        recent = keep_last(self._recent, new, limit.over)
        self._trial = _Trial(recent, _find_ends(*positions), excess, broken)

    def note(
        self, starts: Mapping[int, int], ends: Mapping[int, int], answered: Mapping[str, int]
    ) -> None:
        """Note that the messages of a batch were written. On the driver.

        Args:
            starts: partition → the batch's first offset; new partitions are absent.
            ends: partition → the batch's end offset (exclusive).
            answered: topic → number of messages. They count as spread evenly over the batch, unless
                the driver has judged them.

        Raises:
            BrakeError: there are too many dead letters, which only the counts of the whole batch
                show, and the brake stops the job.
        """
        trial, self._trial = self._trial, None
        is_old = any(starts.get(it, 0) < self._floors.get(it, 0) for it in ends)
        self.pass_over(ends)
        if trial is None:
            if is_old:
                return
            trial = self._count(answered)
        self._recent = trial.recent
        self._conclude(trial, starts, ends)

    def _count(self, answered: Mapping[str, int]) -> _Trial:
        """Judge a batch by its counts."""
        dead = answered.get(self.rule.dead_letter_topic, 0)
        new = spread(dead + answered.get(self.rule.output_topic, 0), dead)
        excess = find_excess(self._recent, new, self.rule.limit)
        return _Trial(keep_last(self._recent, new, self.rule.limit.over), {}, excess)

    def _conclude(self, trial: _Trial, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """Tell the present state; stop or warn if the last batch had too many dead letters."""
        limit, dead = self.rule.limit, int(np.count_nonzero(self._recent))
        share = dead / limit.over if len(self._recent) == limit.over else None
        is_over = share is not None and dead > limit.allowed
        self._tell(share, is_engaged=is_over or trial.excess is not None)
        now_s = time.monotonic()
        is_told = not self.rule.stops and now_s - self._warned_s < _WARN_EVERY_S
        if trial.excess is None or is_told:
            return
        self._warned_s = now_s
        broken = trial.broken
        if broken is None and self._look is not None:
            found = self._look(starts, ends)
            if found is not None:
                broken = describe_broken(found) or _MODEL_FAILS
        message = self._describe(trial.excess.dead, broken or "")
        if self.rule.stops:
            raise BrakeError(message, hint=_HINT_WRITTEN)
        logger.warning("the brake: %s", message)

    def engage(self) -> None:
        """Note that a task has stopped the job, which its copy of the brake cannot tell."""
        if not self._is_engaged:
            dead, limit = int(np.count_nonzero(self._recent)), self.rule.limit
            share = dead / limit.over if len(self._recent) == limit.over else None
            self._tell(share, is_engaged=True)

    def _describe(self, dead: int, broken: str) -> str:
        limit = self.rule.limit
        return (
            f"{dead:,} of {limit.over:,} records in a row are dead letters,"
            f" {100 * dead / limit.over:.1f}%, more than --max-dead-letter-share"
            f" {limit.share:g} allows{f'; in this batch: {broken}' if broken else ''}"
        )

    def _tell(self, share: float | None, *, is_engaged: bool) -> None:
        if self._on_state is not None:
            limit, self._is_engaged = self.rule.limit, is_engaged
            stops = self.rule.stops
            self._on_state(BrakeState(share, limit.share, limit.over, stops, is_engaged))

    def _settle(self, messages: pa.Table) -> None:
        """Take for written what was judged before, if all of these messages come after it.

        A batch may be written in parts, one after the other. One that could not be written is
        judged again as a whole.
        """
        trial, self._trial = self._trial, None
        if trial is None or not messages.num_rows:
            return
        firsts = messages.group_by("source_partition").aggregate([("source_offset", "min")])
        pairs = zip(*(firsts[name].to_pylist() for name in firsts.column_names), strict=True)
        if all(offset >= trial.ends.get(partition, 0) for partition, offset in pairs):
            self._recent = trial.recent
            self.pass_over(trial.ends)

    def _drop_others(self, messages: pa.Table) -> pa.Table:
        """Leave out messages of records that do not count, and those that answer no record."""
        topics = pa.array((self.rule.output_topic, self.rule.dead_letter_topic))
        counts = pc.is_in(messages["topic"], value_set=topics).to_numpy()
        partitions, offsets = (
            messages[name].to_numpy() for name in ("source_partition", "source_offset")
        )
        if self._floors and len(partitions):
            low = np.zeros(max(int(partitions.max()), *self._floors) + 1, np.int64)
            low[list(self._floors)] = list(self._floors.values())
            counts = counts & (offsets >= low[partitions])
        return messages if counts.all() else messages.filter(pa.array(counts))


def _find_ends(partitions: Any, offsets: Any) -> dict[int, int]:
    """Return partition → the offset after the last of its records."""
    ends = np.full(int(partitions.max()) + 1 if len(partitions) else 0, -1, np.int64)
    np.maximum.at(ends, partitions, offsets)
    return {int(it): int(ends[it]) + 1 for it in np.flatnonzero(ends >= 0)}
