"""Commits each source partition of a batch in a transaction on its executor."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import functions as F

from lib.errors import PlanRefusedError
from lib.exactly_once.commit.base import Batch, RenewalTimes
from lib.exactly_once.commit.partition_task import (
    REPORT_SCHEMA,
    PartitionReport,
    PartitionTask,
    raise_failure,
)
from lib.exactly_once.commit.partition_writers import Predecessors, take_partitions
from lib.exactly_once.offsets.ownership import check_still_owner
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.offsets.stamp import UNKNOWN_QUERY, Author, is_signed_by
from lib.exactly_once.transaction.group_offsets import read_stamps
from lib.exactly_once.transaction.produce import add_counts
from lib.exactly_once.transaction.settings import TransactionSettings, ignore_step
from lib.exactly_once.transaction.writer import TransactionalWriter, WriteReport
from lib.messages.tally import add_tallies
from lib.spark.failed_query import build_query_error

logger = logging.getLogger(__name__)


class ExecutorCommit:
    """Each task writes and commits the source partition that it has scored.

    Guarantee: each source partition's part of a batch appears whole and once, in pieces if it is
    larger than ``part_bytes``; the parts of a batch appear one after the other. A retried task
    fences the attempt before it, reads what that has committed, and leaves it out.

    The driver commits offsets again that are deleted while the query runs; it knows that no other
    driver has taken over, because that one would have fenced its producer. It does not do so if a
    task that failed may have written its part: only the offset could tell whether it has.

    Assumes: one task for each source partition (see ``lib.exactly_once.start.plan_check``); ``lib``
    and confluent-kafka on the executors; the brokers reachable from there.

    Cost: each task makes a producer (0.1 to 0.6 s, while its messages are being made) and holds its
    part of the batch in its Python worker's memory, up to ``part_bytes``. So batches should be
    large. The driver sees reports only, no messages.

    Args:
        settings: the names, addresses and times of the query.
        author: the run, whose stamp each commit gets.
    """

    def __init__(self, settings: TransactionSettings, author: Author) -> None:
        self._settings = settings
        self._author = author
        # It fences older drivers, is fenced by newer ones, and commits what no task commits. It
        # does not wait for transactions of older tasks: the producers of the partitions end them.
        self._driver = TransactionalWriter(settings, author=author, waits=False)
        self._committed: dict[int, int | None] = {}
        self._stamps: dict[int, str | None] = {}
        # Batches and the thread that keeps the query alive share the driver's writer.
        self._lock = threading.RLock()
        # The partitions that tasks may be writing. The driver does not commit their offsets.
        self._busy: set[int] = set()
        self._reported_s = time.monotonic()
        self._query_id = UNKNOWN_QUERY
        self._is_owner = False

    def open(self, predecessors: Predecessors) -> None:
        """Fence older runs: their driver first, then all of their partitions' producers."""
        with self._lock:
            self._open(predecessors)

    def _open(self, predecessors: Predecessors) -> None:
        self.close()
        if not self._is_owner:
            self._driver.forget()
        self._driver.open()
        seen = self._stamps if self._is_owner else None
        found = take_partitions(self._settings, self._author, predecessors, seen=seen)
        self._committed, self._stamps = found.committed, found.stamps
        self._busy = set()

    @property
    def committed(self) -> Mapping[int, int | None]:
        """Partition → the group's offset, None where it has none; after :meth:`open`."""
        return self._committed

    @property
    def stamps(self) -> Mapping[int, str | None]:
        """Partition → metadata of that offset as it was found; after :meth:`open`."""
        return self._stamps

    @property
    def committed_all_s(self) -> float:
        """The time, by ``time.monotonic``, at which the driver committed all offsets last."""
        return self._driver.committed_all_s

    def claim(self, offsets: Offsets, query_id: str) -> None:
        """Commit the group's offsets under this run's stamp, then leave them to the tasks.

        An older driver that opens again now, and commits, makes this fail.
        """
        with self._lock:
            self._commit(offsets, query_id)
            self._is_owner = True

    def write(self, batch: Batch) -> WriteReport:
        """Let the tasks write, then commit the partitions that had nothing to write."""
        started = time.monotonic()
        _check_tasks(batch)
        with self._lock:
            self._claim_new(batch)
            self._busy |= batch.busy_partitions
            self._query_id = batch.query_id
        task = PartitionTask(
            replace(self._settings, on_step=ignore_step),
            self._author,
            batch.query_id,
            batch.batch_id,
            dict(batch.starts),
            dict(batch.ends),
            dict(self._stamps),
            batch.map_in_arrow,
            batch.is_repeated,
            batch.counted,
            batch.check,
            batch.brake,
        )
        # Tasks commit without asking the driver, so it compares the topic before and after them.
        batch.watch.confirm()
        self._settings.on_step("begun")
        reports = _run(batch, task)
        batch.watch.confirm()
        if any(report.may_restore for report in reports):
            reports = self._restore(batch, task, reports)
        self._settings.on_step("produced")
        raise_failure(reports)
        with self._lock:
            self._note(batch, reports)
            self._commit_rest(batch, {report.partition for report in reports})
            self._busy = set()
        self._settings.on_step("committed")
        return WriteReport(
            batch.batch_id,
            add_counts(*(report.written for report in reports)),
            add_counts(*(report.already_written for report in reports)),
            time.monotonic() - started,
            add_tallies(report.tally for report in reports),
        )

    def forgive(self) -> None:
        """Let batches be written again after Kafka has refused a message that will be left out."""
        self._driver.forgive()

    def keep_alive(self, times: RenewalTimes) -> None:
        """Commit unchanged offsets of partitions that no task writes, if it is time to.

        Tasks that take long renew the lease themselves.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            now_s = time.monotonic()
            if not self._is_owner:
                return
            if now_s - self._driver.committed_all_s >= times.all_s and not self._busy:
                self._commit({}, self._query_id)
            elif now_s - max(self._driver.committed_s, self._reported_s) >= times.one_s:
                self._driver.renew(dict(self._list_idle()[:1]), query_id=self._query_id)
        finally:
            self._lock.release()

    def release(self) -> None:
        """Mark the offsets as those of a run that has ended, except where a task may be writing."""
        with self._lock:
            if self._is_owner:
                self._driver.renew(dict(self._list_idle()), query_id=self._query_id, is_last=True)
                self._is_owner = False

    def _list_idle(self) -> list[tuple[int, int]]:
        """Return (partition, offset) of the partitions that no task can be writing."""
        return [
            (partition, offset)
            for partition, offset in sorted(self._committed.items())
            if offset is not None and partition not in self._busy
        ]

    def give_up(self) -> None:
        """Let a commit of the driver fail instead of trying again; Spark ends the tasks."""
        self._driver.give_up()

    def close(self) -> None:
        """Close the Kafka clients."""
        self._driver.close()

    def _claim_new(self, batch: Batch) -> None:
        """Put this run's stamp on partitions that did not exist at its start; its tasks need it.

        The driver's own producer does so, which any newer run has fenced. An older run that has not
        noticed its successor yet therefore cannot claim them, and its tasks write nothing there.

        Raises:
            SinkTakenOverError: somebody else has committed for such a partition.
        """
        new = {
            partition: batch.starts.get(partition, 0)
            for partition in batch.busy_partitions
            if not is_signed_by(self._stamps.get(partition), self._author.run_id)
        }
        if not new:
            return
        logger.info("claiming the new partitions %s", sorted(new))
        query = self._settings.query_name
        there = read_stamps(replace(self._settings, partitions=frozenset(new)))
        check_still_owner(there, self._stamps, self._author.run_id, query)
        self._commit(new, batch.query_id)

    def _restore(
        self, batch: Batch, task: PartitionTask, reports: list[PartitionReport]
    ) -> list[PartitionReport]:
        """Commit lost offsets again, and run the tasks again that need them."""
        lost = {report.partition for report in reports if report.may_restore}
        others = [report for report in reports if report.partition not in lost]
        raise_failure(others)
        logger.warning("the group's offsets of partitions %s are gone, restoring", sorted(lost))
        with self._lock:
            self._note(batch, others)
            self._commit({}, batch.query_id)
        again = _run(batch, replace(task, seen=dict(self._stamps)))
        return others + [report for report in again if report.partition in lost]

    def _commit_rest(self, batch: Batch, reported: set[int]) -> None:
        """Commit the offsets of partitions that moved without messages."""
        moved = {
            p: end
            for p, end in batch.ends.items()
            if p not in reported and (self._committed.get(p) or 0) < end
        }
        if moved:
            self._commit(moved, batch.query_id)

    def _commit(self, moved: Offsets, query_id: str) -> None:
        """Commit all known offsets and those that moved, while no task is running."""
        known = {p: offset for p, offset in self._committed.items() if offset is not None}
        self._driver.claim({**known, **moved}, query_id=query_id)
        self._committed.update(self._driver.committed)
        self._stamps.update(self._driver.stamps)
        self._query_id = query_id

    def _note(self, batch: Batch, reports: list[PartitionReport]) -> None:
        """Note what the tasks have committed."""
        if reports:
            self._reported_s = time.monotonic()
        stamp = self._author.sign(batch.query_id, batch.batch_id).to_metadata()
        for partition in (report.partition for report in reports):
            end, committed = batch.ends[partition], self._committed.get(partition) or 0
            self._committed[partition] = max(end, committed)
            self._stamps[partition] = stamp


def _check_tasks(batch: Batch) -> None:
    """Make sure that each partition with records has one task: two would fence each other."""
    rdd: Any = batch.frame._jdf.queryExecution().toRdd()
    tasks = int(rdd.getNumPartitions())
    busy = batch.read_partitions or len(batch.busy_partitions)
    if tasks != busy:
        raise PlanRefusedError(
            f"batch {batch.batch_id} has {tasks} tasks for {busy} source partitions, expected one"
            " each: something splits, merges or shuffles partitions",
            hint="remove minPartitions, maxRecordsPerPartition and every shuffle, or commit on the"
            " driver",
        )


def _run(batch: Batch, task: PartitionTask) -> list[PartitionReport]:
    frame = batch.frame
    if batch.map_in_arrow is None:
        frame = frame.withColumn("headers", F.to_json("headers"))
    try:
        rows = frame.mapInArrow(task, REPORT_SCHEMA).toArrow().to_pylist()
    except Exception as error:
        raise build_query_error(f"batch {batch.batch_id} was not written", error) from error
    return [PartitionReport.from_row(row) for row in rows]
