"""Commits each batch in one transaction on the driver."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from math import ceil

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lib.errors import BatchTooLargeError, SinkFencedByTaskError
from lib.exactly_once.commit.arrow_map import PreparedMap
from lib.exactly_once.commit.base import Batch, RenewalTimes
from lib.exactly_once.commit.partition_writers import Found, Predecessors, take_partitions
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.offsets.stamp import UNKNOWN_QUERY, Author, Committer, has_committed
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter, WriteReport
from lib.spark.failed_query import build_query_error
from lib.spark.task_slots import find_slots

logger = logging.getLogger(__name__)

# A batch of fewer records is not split: if it is too large, another fault is the reason.
_LEAST_RECORDS = 8
# A task costs 16 ms, however few records it has: a sixth of the time that so many records take.
_TASK_RECORDS = 10_000


class DriverCommit:
    """Collects each batch and commits it whole: all its messages appear together.

    Guarantee: see ``TransactionalWriter``. Tasks have no side effects, so retries, speculation,
    shuffles and repartitioning cannot duplicate anything.

    Cost: the batch travels to the driver as Arrow, from fewer tasks than the source has partitions
    where these are many. One that is larger than ``spark.driver.maxResultSize``, or that has failed
    twice and is larger than ``part_bytes``, is read and scored again for each half, and its halves
    appear one after the other. The rate of one process is the limit.

    Args:
        settings: the names, addresses and times of the query.
        author: the run, whose stamp each commit gets.
    """

    def __init__(self, settings: TransactionSettings, author: Author) -> None:
        self._settings = settings
        self._author = author
        self._writer = TransactionalWriter(settings, author=author)
        # Batches and the thread that keeps the query alive share the writer.
        self._lock = threading.RLock()
        self._query_id = UNKNOWN_QUERY
        # Partition → metadata of the offset that a task of an older run has committed.
        self._stamps_of_tasks: Mapping[int, str | None] = {}
        self._is_owner = False
        self._map: PreparedMap | None = None

    def open(self, predecessors: Predecessors) -> None:
        """Fence older runs, those that committed on executors included."""
        with self._lock:
            self._open(predecessors)

    def _open(self, predecessors: Predecessors) -> None:
        self.close()
        if not self._is_owner:
            self._writer.forget()
        self._stamps_of_tasks = {}
        if has_committed(Committer.EXECUTOR, predecessors.stamps):
            self._stamps_of_tasks = self._fence_tasks(predecessors).stamps
        self._writer.open()
        # The stamps of this run itself are those of a driver.
        if has_committed(Committer.EXECUTOR, self._writer.stamps):
            raise SinkFencedByTaskError("tasks of an older run have committed during this start")

    def _fence_tasks(self, predecessors: Predecessors) -> Found:
        """Take the partitions from an older run, whose driver is fenced first and for good.

        This does not wait for the transactions of the older run's tasks: fencing ends them.
        """
        fence = TransactionalWriter(self._settings, author=self._author, waits=False)
        with closing(fence):
            fence.open()
            return take_partitions(self._settings, self._author, predecessors)

    @property
    def committed(self) -> Mapping[int, int | None]:
        """Partition → the group's offset, None where it has none; after :meth:`open`."""
        return self._writer.committed

    @property
    def stamps(self) -> Mapping[int, str | None]:
        """Partition → metadata of that offset as it was found; after :meth:`open`."""
        return {**self._writer.stamps, **self._stamps_of_tasks}

    @property
    def committed_all_s(self) -> float:
        """The time, by ``time.monotonic``, at which all offsets were committed last."""
        return self._writer.committed_all_s

    def claim(self, offsets: Offsets, query_id: str) -> None:
        """Commit the group's offsets under this run's stamp."""
        with self._lock:
            self._writer.claim(offsets, query_id=query_id)
            self._is_owner, self._query_id = True, query_id

    def move(self, offsets: Offsets, query_id: str) -> None:
        """Commit exactly these offsets for a person, once older runs are fenced."""
        with self._lock:
            self._writer.move(offsets, query_id=query_id)

    def write(self, batch: Batch) -> WriteReport:
        """Collect the batch and write it in one transaction.

        A batch that is too large to be collected is written in halves, each in a transaction of its
        own, so that large records cannot stop the job. The size of a batch that has failed before
        is computed first: a driver that ran out of memory could not say that it was too large.
        """
        if batch.is_suspect:
            return self._write_parts(batch, self._count_parts(batch))
        try:
            messages = self._build_messages(batch).toArrow()
        except Exception as error:
            failure = build_query_error(f"batch {batch.batch_id} was not scored", error)
            if not isinstance(failure, BatchTooLargeError) or batch.records < _LEAST_RECORDS:
                raise failure from error
            return self._write_parts(batch, 2)
        if batch.check is not None:
            batch.check(messages)
        if batch.brake is not None:
            batch.brake.judge(messages)
        # All rows have been read. The answer arrives while their messages are produced.
        batch.watch.ask()
        with self._lock:
            self._query_id = batch.query_id
            return self._writer.write(
                messages,
                batch.ends,
                batch_id=batch.batch_id,
                query_id=batch.query_id,
                starts=batch.starts,
                counted=batch.counted,
                confirm=batch.watch.confirm,
            )

    def forgive(self) -> None:
        """Let batches be written again after Kafka has refused a message that will be left out."""
        self._writer.forgive()

    def keep_alive(self, times: RenewalTimes) -> None:
        """Commit unchanged offsets if it is time to, and no batch is being committed."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            now_s = time.monotonic()
            if self._is_owner and now_s - self._writer.committed_all_s >= times.all_s:
                self._writer.claim({}, query_id=self._query_id)
            elif self._is_owner and now_s - self._writer.committed_s >= times.one_s:
                known = list(self._writer.known.items())
                self._writer.renew(dict(known[:1]), query_id=self._query_id)
        finally:
            self._lock.release()

    def release(self) -> None:
        """Sign the offsets as those of a run that has ended."""
        with self._lock:
            if self._is_owner:
                self._writer.renew(self._writer.known, query_id=self._query_id, is_last=True)
                self._is_owner = False

    def _write_parts(self, batch: Batch, parts: int) -> WriteReport:
        """Split a batch in halves again and again until there are so many parts, and write them."""
        if parts <= 1 or batch.records < _LEAST_RECORDS:
            return self.write(replace(batch, is_suspect=False))
        logger.warning("batch=%d is too large, writing it in halves", batch.batch_id)
        first, second = (self._write_parts(half, -(-parts // 2)) for half in split_batch(batch))
        return first.add(second)

    def _count_parts(self, batch: Batch) -> int:
        """Compute how many parts a batch needs, from the bytes of its messages."""
        columns = (F.col("key"), F.col("value"), F.to_json("headers"))
        weight = sum((F.coalesce(F.length(it), F.lit(0)) for it in columns), F.lit(0))
        try:
            (found,) = self._build_messages(batch).agg(F.sum(weight)).toArrow()[0].to_pylist()
        except Exception as error:
            raise build_query_error(f"batch {batch.batch_id} was not scored", error) from error
        return -(-(found or 0) // self._settings.part_bytes)

    def _build_messages(self, batch: Batch) -> DataFrame:
        """Return the messages; where partitions are many, fewer tasks compute them."""
        frame = batch.frame
        slots = find_slots(frame.sparkSession.sparkContext)
        if slots is not None:
            tasks = count_tasks(batch.records, slots)
            # A partition without new records has no task anyway.
            if len(batch.busy_partitions) > tasks:
                frame = frame.coalesce(tasks)
        if batch.map_in_arrow is None:
            return frame
        if self._map is None or self._map.function is not batch.map_in_arrow:
            self._map = PreparedMap(batch.map_in_arrow, batch.columns)
        return self._map.apply(frame)

    def give_up(self) -> None:
        """Let a write under way fail instead of trying again."""
        self._writer.give_up()

    def close(self) -> None:
        """Close the Kafka clients."""
        self._writer.close()


def count_tasks(records: int, slots: int) -> int:
    """Compute how many tasks a batch gets, unless its source has fewer partitions. Pure.

    Args:
        records: the number of records in the batch.
        slots: the number of tasks that run at once. All slots are used. More tasks than slots, if
            each has enough records, keep an uneven partition from delaying the others.
    """
    return max(slots, ceil(records / _TASK_RECORDS))


def split_batch(batch: Batch) -> tuple[Batch, Batch]:
    """Return two batches: the first and the second half of the offsets of each partition."""
    middles = {p: (batch.starts.get(p, 0) + end + 1) // 2 for p, end in batch.ends.items()}
    middle = F.create_map(*(F.lit(number) for pair in middles.items() for number in pair))
    is_early = F.col("source_offset") < F.element_at(middle, F.col("source_partition"))
    return (
        replace(batch, frame=batch.frame.where(is_early), ends=middles),
        replace(batch, frame=batch.frame.where(~is_early), starts=middles),
    )
