"""A transaction for each source partition and batch, on the executors."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.errors import (
    PlanRefusedError,
    SinkError,
    SinkFencedError,
    SinkRejectedError,
    SinkRetryExhaustedError,
    SinkTakenOverError,
)
from lib.failed_query import build_query_error
from lib.sinks.commit import Batch
from lib.sinks.partition_writers import PartitionWriters, settings_of_partition
from lib.sinks.resume import Offsets
from lib.sinks.session import Hook
from lib.sinks.stamp import Author
from lib.sinks.transaction import TransactionalWriter, TransactionSettings, WriteReport

# The offsets of an idle partition are committed again this often: long before brokers forget them
# (7 days by default), seldom enough to cost nothing.
_RENEW_AFTER_S = 3600.0
_REPORT_SCHEMA = (
    "partition int, written string, already_written bigint, error string, message string,"
    " hint string"
)
# Errors that a task reports instead of raising: Spark would only repeat the task.
_REPORTED = {
    kind.__name__: kind
    for kind in (
        SinkTakenOverError,
        SinkRejectedError,
        SinkRetryExhaustedError,
        PlanRefusedError,
        SinkError,
    )
}


class ExecutorCommit:
    """Each task writes and commits the source partition that it has scored.

    Guarantee: each source partition's part of a batch appears whole and once; the parts of a batch
    appear one after the other. A retried task fences the attempt before it, reads what that has
    committed, and leaves it out.

    Assumes: one task for each source partition (see ``lib.sinks.plan_check``); ``lib`` and
    confluent-kafka on the executors; the brokers reachable from there.

    Cost: each task makes a producer (0.1 to 0.6 s) and holds its part of the batch in its Python
    worker's memory. So batches should be large. The driver sees reports only, no messages.

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
        )
        self._hook("begun")
        reports = _run(batch, task)
        self._hook("produced")
        _raise_failure(reports)
        for report in reports:
            self._note(report.partition, batch)
        self._commit_rest(batch, {report.partition for report in reports})
        self._hook("committed")
        written: Counter[str] = Counter()
        for report in reports:
            written.update(report.written)
        skipped = sum(report.already_written for report in reports)
        return WriteReport(batch.batch_id, dict(written), skipped, time.monotonic() - started)

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


@dataclass(frozen=True)
class PartitionReport:
    """What a task has written, or why not.

    Attributes:
        partition: of the source topic.
        written: topic → messages.
        already_written: messages that an earlier attempt had committed.
        error: class of :data:`_REPORTED`; None where all went well.
        message, hint: of the error.
    """

    partition: int
    written: Mapping[str, int] = field(default_factory=dict)
    already_written: int = 0
    error: str | None = None
    message: str | None = None
    hint: str | None = None

    def to_batch(self) -> pa.RecordBatch:
        """One row of :data:`_REPORT_SCHEMA`."""
        columns = {
            "partition": pa.array([self.partition], pa.int32()),
            "written": pa.array([json.dumps(dict(self.written))]),
            "already_written": pa.array([self.already_written], pa.int64()),
            "error": pa.array([self.error], pa.string()),
            "message": pa.array([self.message], pa.string()),
            "hint": pa.array([self.hint], pa.string()),
        }
        return pa.RecordBatch.from_pydict(columns)


@dataclass(frozen=True)
class PartitionTask:
    """What a task does with the messages of its source partition. Runs in a Python worker.

    Attributes:
        settings, author: of the query.
        query_id, batch_id: for the stamp.
        ends: partition → end offset of the batch.
        seen: partition → stamp that the driver knows. Another one, by another run, means that a
            second driver took over.
    """

    settings: TransactionSettings
    author: Author
    query_id: str
    batch_id: int
    ends: Offsets
    seen: Mapping[int, str | None]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write all rows in one transaction; the result is one row, none for no rows."""
        filled = [batch for batch in batches if batch.num_rows]
        if filled:
            yield self._write(pa.Table.from_batches(filled)).to_batch()

    def _write(self, messages: pa.Table) -> PartitionReport:
        partition, *others = pc.unique(messages["source_partition"]).to_pylist()
        try:
            if others:
                raise PlanRefusedError(
                    f"a task got rows of the source partitions {[partition, *others]}, expected"
                    " one: the plan moves rows between tasks"
                )
            return self._write_partition(partition, messages)
        except SinkFencedError as error:
            # Fenced by a newer attempt of this very task, or by another driver: Spark's next
            # attempt reads the stamps first and knows.
            if not isinstance(error, SinkTakenOverError):
                raise
            return _report_error(partition, error)
        except SinkError as error:
            return _report_error(partition, error)

    def _write_partition(self, partition: int, messages: pa.Table) -> PartitionReport:
        writer = TransactionalWriter(
            settings_of_partition(self.settings, partition),
            author=self.author,
            seen={partition: self.seen.get(partition)},
        )
        try:
            writer.open()
            report = writer.write(
                messages,
                {partition: self.ends[partition]},
                batch_id=self.batch_id,
                query_id=self.query_id,
            )
        finally:
            writer.close()
        return PartitionReport(partition, report.written, report.already_written)


def _report_error(partition: int, error: SinkError) -> PartitionReport:
    kind = type(error).__name__
    return PartitionReport(
        partition,
        error=kind if kind in _REPORTED else SinkError.__name__,
        message=f"source partition {partition}: {error.message}",
        hint=error.hint,
    )


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
    try:
        rows = batch.frame.mapInArrow(task, _REPORT_SCHEMA).toArrow().to_pylist()
    except Exception as error:
        raise build_query_error(f"batch {batch.batch_id} was not written", error) from error
    return [PartitionReport(**{**row, "written": json.loads(row["written"])}) for row in rows]


def _raise_failure(reports: list[PartitionReport]) -> None:
    """Raise what a task has reported; what never passes comes first."""
    errors = [
        _REPORTED[report.error](report.message or "", hint=report.hint)
        for report in reports
        if report.error is not None
    ]
    if errors:
        raise min(errors, key=lambda error: error.is_passing)
