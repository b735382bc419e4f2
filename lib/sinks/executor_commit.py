"""A transaction for each source partition and batch, on the executors."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import functions as F

from lib.errors import PlanRefusedError
from lib.sinks.commit import Batch
from lib.sinks.outbox import add_counts
from lib.sinks.partition_task import (
    REPORT_SCHEMA,
    PartitionReport,
    PartitionTask,
    raise_failure,
)
from lib.sinks.partition_writers import PartitionWriters
from lib.sinks.resume import Offsets
from lib.sinks.session import Hook
from lib.sinks.settings import TransactionSettings
from lib.sinks.stamp import Author, Committer, has_committed
from lib.sinks.transaction import TransactionalWriter, WriteReport
from lib.spark.failed_query import build_query_error

logger = logging.getLogger(__name__)

# All offsets are committed again this often, for those of idle partitions and the transactional id
# of the driver: long before brokers forget them (7 days by default), seldom enough to cost nothing.
_RENEW_AFTER_S = 3600.0


class ExecutorCommit:
    """Each task writes and commits the source partition that it has scored.

    Guarantee: each source partition's part of a batch appears whole and once, in pieces if it is
    larger than ``part_bytes``; the parts of a batch appear one after the other. A retried task
    fences the attempt before it, reads what that has committed, and leaves it out.

    Offsets that are deleted while the query runs are committed again by the driver, whose own
    producer the next driver would have fenced. Not if a task that failed may have written its part:
    whether it has, the offset alone could tell.

    Assumes: one task for each source partition (see ``lib.sinks.plan_check``); ``lib`` and
    confluent-kafka on the executors; the brokers reachable from there.

    Cost: each task makes a producer (0.1 to 0.6 s, while its messages are being made) and holds its
    part of the batch in its Python worker's memory, up to ``part_bytes``. So batches should be
    large. The driver sees reports only, no messages.

    Args:
        settings: names, addresses and times.
        author: signs the offsets.
        hook: see ``TransactionalWriter``; called on the driver only.
    """

    def __init__(self, settings: TransactionSettings, author: Author, hook: Hook) -> None:
        self._settings = settings
        self._author = author
        self._hook = hook
        # Fences older drivers, and is fenced by newer ones. It commits what no task does.
        # It does not wait for their tasks' transactions: the partitions' producers end those.
        self._driver = TransactionalWriter(settings, hook, author=author, waits=False)
        self._writers = PartitionWriters(settings, author, hook)
        self._committed: dict[int, int | None] = {}
        self._stamps: dict[int, str | None] = {}
        self._renewed_s = time.monotonic()
        self._is_owner = False

    def open(self) -> None:
        """Fence older runs: their driver and all of their partitions' producers."""
        self.close()
        if not self._is_owner:
            self._driver.forget()
        self._driver.open()
        partitions = sorted(self._driver.committed)
        self._writers.open(partitions, self._stamps if self._is_owner else None)
        self._committed, self._stamps = self._writers.committed, self._writers.stamps

    @property
    def committed(self) -> Mapping[int, int | None]:
        """Partition → the group's offset, None where it has none; after :meth:`open`."""
        return self._committed

    @property
    def stamps(self) -> Mapping[int, str | None]:
        """Partition → metadata of that offset; after :meth:`open`."""
        return self._stamps

    def claim(self, offsets: Offsets, query_id: str) -> None:
        """Commit the group's offsets under this run's stamp, then leave them to the tasks."""
        if has_committed(Committer.DRIVER, self._stamps):
            # An older driver that opens again now, and commits, makes this fail.
            self._commit(offsets, query_id)
        self._writers.claim(offsets, query_id)
        self._committed, self._stamps = self._writers.committed, self._writers.stamps
        self._writers.close()
        self._is_owner = True
        self._renewed_s = time.monotonic()

    def write(self, batch: Batch) -> WriteReport:
        """Let the tasks write, then commit the partitions that had nothing to write."""
        started = time.monotonic()
        _check_tasks(batch)
        task = PartitionTask(
            self._settings,
            self._author,
            batch.query_id,
            batch.batch_id,
            dict(batch.starts),
            dict(batch.ends),
            dict(self._stamps),
            batch.map_in_arrow,
        )
        self._hook("begun")
        reports = _run(batch, task)
        if any(report.may_restore for report in reports):
            reports = self._restore(batch, task, reports)
        self._hook("produced")
        raise_failure(reports)
        self._note(batch, reports)
        self._commit_rest(batch, {report.partition for report in reports})
        self._hook("committed")
        return WriteReport(
            batch.batch_id,
            add_counts(*(report.written for report in reports)),
            add_counts(*(report.already_written for report in reports)),
            time.monotonic() - started,
        )

    def give_up(self) -> None:
        """Let a commit of the driver fail instead of trying again; Spark ends the tasks."""
        self._driver.give_up()

    def close(self) -> None:
        """Let go of the Kafka clients."""
        self._driver.close()
        self._writers.close()

    def _restore(
        self, batch: Batch, task: PartitionTask, reports: list[PartitionReport]
    ) -> list[PartitionReport]:
        """Commit lost offsets again, and let their tasks do what they could not."""
        lost = {report.partition for report in reports if report.may_restore}
        others = [report for report in reports if report.partition not in lost]
        raise_failure(others)
        logger.warning("the group's offsets of partitions %s are gone, restoring", sorted(lost))
        self._note(batch, others)
        self._commit({}, batch.query_id)
        again = _run(batch, replace(task, seen=dict(self._stamps)))
        return others + [report for report in again if report.partition in lost]

    def _commit_rest(self, batch: Batch, reported: set[int]) -> None:
        """Partitions whose offsets moved without messages; all of them from time to time."""
        moved = {
            p: end
            for p, end in batch.ends.items()
            if p not in reported and (self._committed.get(p) or 0) < end
        }
        if moved or time.monotonic() - self._renewed_s > _RENEW_AFTER_S:
            self._commit(moved, batch.query_id)

    def _commit(self, moved: Offsets, query_id: str) -> None:
        """All offsets as they are known, and those that moved; no task is running."""
        known = {p: offset for p, offset in self._committed.items() if offset is not None}
        self._driver.claim({**known, **moved}, query_id=query_id)
        self._committed.update(self._driver.committed)
        self._stamps.update(self._driver.stamps)
        self._renewed_s = time.monotonic()

    def _note(self, batch: Batch, reports: list[PartitionReport]) -> None:
        """What tasks have committed."""
        stamp = self._author.sign(batch.query_id, batch.batch_id).to_metadata()
        for partition in (report.partition for report in reports):
            end, committed = batch.ends[partition], self._committed.get(partition) or 0
            self._committed[partition] = max(end, committed)
            self._stamps[partition] = stamp


def _check_tasks(batch: Batch) -> None:
    """One task for each partition that has records, or two tasks would fence each other."""
    rdd: Any = batch.frame._jdf.queryExecution().toRdd()
    tasks, busy = int(rdd.getNumPartitions()), len(batch.busy_partitions)
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
