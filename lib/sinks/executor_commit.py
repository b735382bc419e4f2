"""A transaction for each source partition and batch, on the executors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pyspark.sql import functions as F

from lib.errors import PlanRefusedError
from lib.failed_query import build_query_error
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
from lib.sinks.stamp import Author
from lib.sinks.transaction import TransactionalWriter, WriteReport

# The offsets of an idle partition are committed again this often: long before brokers forget them
# (7 days by default), seldom enough to cost nothing.
_RENEW_AFTER_S = 3600.0


class ExecutorCommit:
    """Each task writes and commits the source partition that it has scored.

    Guarantee: each source partition's part of a batch appears whole and once, in pieces if it is
    larger than ``part_bytes``; the parts of a batch appear one after the other. A retried task
    fences the attempt before it, reads what that has committed, and leaves it out.

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
        # Fences a run that commits on its driver; writes nothing itself.
        self._driver = TransactionalWriter(settings, hook, author=author)
        self._writers = PartitionWriters(settings, author, hook)
        self._committed: dict[int, int | None] = {}
        self._stamps: dict[int, str | None] = {}
        self._renewed_s: dict[int, float] = {}
        self._is_owner = False

    def open(self) -> None:
        """Fence older runs: their driver and all of their partitions' producers."""
        self.close()
        self._driver.open()
        partitions = sorted(self._driver.committed)
        self._driver.close()
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
        self._writers.claim(offsets, query_id)
        self._committed, self._stamps = self._writers.committed, self._writers.stamps
        self._writers.close()
        self._is_owner = True
        self._renewed_s = dict.fromkeys(self._committed, time.monotonic())

    def write(self, batch: Batch) -> WriteReport:
        """Let the tasks write, then commit the partitions that had nothing to write."""
        started = time.monotonic()
        _check_tasks(batch)
        task = PartitionTask(
            self._settings,
            self._author,
            batch.query_id,
            batch.batch_id,
            dict(batch.ends),
            dict(self._stamps),
            batch.map_in_arrow,
        )
        self._hook("begun")
        reports = _run(batch, task)
        self._hook("produced")
        raise_failure(reports)
        for report in reports:
            self._note(report.partition, batch)
        self._commit_rest(batch, {report.partition for report in reports})
        self._hook("committed")
        return WriteReport(
            batch.batch_id,
            add_counts(*(report.written for report in reports)),
            add_counts(*(report.already_written for report in reports)),
            time.monotonic() - started,
        )

    def close(self) -> None:
        """Let go of the Kafka clients."""
        self._driver.close()
        self._writers.close()

    def _commit_rest(self, batch: Batch, reported: set[int]) -> None:
        """Partitions whose offsets moved without messages, and those idle for long."""
        now_s = time.monotonic()
        rest = {
            p: end
            for p, end in batch.ends.items()
            if p not in reported
            and (
                (self._committed.get(p) or 0) < end
                or now_s - self._renewed_s.get(p, now_s) > _RENEW_AFTER_S
            )
        }
        if not rest:
            return
        try:
            self._writers.open(rest, self._stamps)
            self._writers.claim(rest, batch.query_id)
            self._committed.update(self._writers.committed)
            self._stamps.update(self._writers.stamps)
            self._renewed_s.update(dict.fromkeys(rest, now_s))
        finally:
            self._writers.close()

    def _note(self, partition: int, batch: Batch) -> None:
        end, committed = batch.ends[partition], self._committed.get(partition) or 0
        self._committed[partition] = max(end, committed)
        self._stamps[partition] = self._author.sign(batch.query_id, batch.batch_id).to_metadata()
        self._renewed_s[partition] = time.monotonic()


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
