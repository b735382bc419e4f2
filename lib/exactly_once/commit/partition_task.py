"""What a task does on an executor: write the source partition that it has scored, and report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import chain
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from lib.errors import (
    PlanRefusedError,
    SinkError,
    SinkFencedError,
    SinkOffsetsGoneError,
    SinkRejectedError,
    SinkRetryExhaustedError,
    SinkTakenOverError,
)
from lib.exactly_once.commit.base import ArrowMap
from lib.exactly_once.commit.partition_writers import settings_of_partition
from lib.exactly_once.commit.task_writer import TaskWriter
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.offsets.stamp import Author, is_signed_by
from lib.exactly_once.transaction.parts import iter_parts
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter, WriteReport
from lib.messages.header_text import parse_header_column
from lib.spark.worker_end import raise_broken_pipes
from lib.spark.worker_memory import exempt_what_is_loaded, pause_collection

REPORT_SCHEMA = (
    "partition int, written string, already_written string, may_restore boolean, error string,"
    " message string, hint string"
)
# Errors that a task reports instead of raising: Spark would only repeat the task.
_REPORTED = {
    kind.__name__: kind
    for kind in (
        SinkTakenOverError,
        SinkOffsetsGoneError,
        SinkRejectedError,
        SinkRetryExhaustedError,
        PlanRefusedError,
        SinkError,
    )
}


@dataclass(frozen=True)
class PartitionReport:
    """What a task has written, or why not.

    Attributes:
        partition: of the source topic.
        written: topic → messages.
        already_written: topic → messages that an earlier attempt had committed.
        may_restore: the group's offset is gone, and no attempt of this task can have written.
        error: class of :data:`_REPORTED`; None where all went well.
        message, hint: of the error.
    """

    partition: int
    written: Mapping[str, int] = field(default_factory=dict)
    already_written: Mapping[str, int] = field(default_factory=dict)
    may_restore: bool = False
    error: str | None = None
    message: str | None = None
    hint: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of :data:`REPORT_SCHEMA`."""
        counts = {name: json.loads(row[name]) for name in ("written", "already_written")}
        return cls(**{**row, **counts})

    def to_batch(self) -> pa.RecordBatch:
        """One row of :data:`REPORT_SCHEMA`."""
        columns = {
            "partition": pa.array([self.partition], pa.int32()),
            "written": pa.array([json.dumps(dict(self.written))]),
            "already_written": pa.array([json.dumps(dict(self.already_written))]),
            "may_restore": pa.array([self.may_restore]),
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
        starts: partition → first offset of the batch; new partitions are absent.
        ends: partition → end offset of the batch.
        seen: partition → stamp that the driver knows, which is of its own run where the driver has
            claimed the partition; nothing is written to others. Another stamp, by another run,
            means that a second driver took over.
        map_in_arrow: makes messages of what the task gets; None where it gets messages.
    """

    settings: TransactionSettings
    author: Author
    query_id: str
    batch_id: int
    starts: Offsets
    ends: Offsets
    seen: Mapping[int, str | None]
    map_in_arrow: ArrowMap | None = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write all rows in one transaction, in several where memory would not hold them.

        The result is one row, none for no rows.
        """
        source = _iter_filled(batches)
        first = next(source, None)
        if first is not None:
            with pause_collection(), raise_broken_pipes():
                report = self._write(first["source_partition"][0].as_py(), chain([first], source))
            exempt_what_is_loaded()
            if report is not None:
                yield report.to_batch()

    def _write(self, partition: int, batches: Iterator[pa.RecordBatch]) -> PartitionReport | None:
        """Open the partition's writer while messages are being made; None without messages."""
        if not is_signed_by(self.seen.get(partition), self.author.run_id):
            return _report_error(partition, _build_unclaimed(self.settings.query_name))
        make = self.map_in_arrow or _parse_headers
        writer = TransactionalWriter(
            settings_of_partition(self.settings, partition),
            author=self.author,
            seen={partition: self.seen.get(partition)},
        )
        kept = TaskWriter(writer, self.query_id, self.author.lease_s)
        try:
            with kept:
                messages = _iter_filled(make(batches))
                parts = iter_parts(messages, self.settings.part_bytes, self.ends[partition])
                reports = [self._write_part(kept, it, partition, end) for it, end in parts]
            if not reports:
                return None
            whole = reduce(WriteReport.add, reports)
            return PartitionReport(partition, whole.written, whole.already_written)
        except SinkFencedError as error:
            # Fenced by a newer attempt of this very task, or by another driver: Spark's next
            # attempt reads the stamps first and knows.
            if not isinstance(error, SinkTakenOverError):
                raise
            return _report_error(partition, error)
        except SinkOffsetsGoneError as error:
            may_restore = kept.opened.exception() is error and _is_first_attempt()
            return replace(_report_error(partition, error), may_restore=may_restore)
        except SinkError as error:
            return _report_error(partition, error)

    def _write_part(
        self, kept: TaskWriter, messages: pa.Table, partition: int, end: int
    ) -> WriteReport:
        partitions = pc.unique(messages["source_partition"]).to_pylist()
        if partitions != [partition]:
            raise PlanRefusedError(
                f"a task got rows of the source partitions {partitions}, expected one: the plan"
                " moves rows between tasks"
            )
        return kept.write(messages, partition, end, self.batch_id, self.starts)


def _iter_filled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return (batch for batch in batches if batch.num_rows)


def _parse_headers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """From text, as Spark hands them to a worker; see ``lib.messages.header_text``."""
    for batch in batches:
        position = batch.schema.get_field_index("headers")
        yield batch.set_column(position, "headers", parse_header_column(batch["headers"]))


def _is_first_attempt() -> bool:
    """Whether Spark tries this task for the first time; outside of a task it does."""
    from pyspark import TaskContext  # here, for the driver needs no more than the report

    context = TaskContext.get()
    return context is None or context.attemptNumber() == 0


def _build_unclaimed(query_name: str) -> SinkTakenOverError:
    return SinkTakenOverError(
        f"query {query_name}: this run has not claimed the partition, so another run may answer it"
    )


def _report_error(partition: int, error: SinkError) -> PartitionReport:
    kind = type(error).__name__
    return PartitionReport(
        partition,
        error=kind if kind in _REPORTED else SinkError.__name__,
        message=f"source partition {partition}: {error.message}",
        hint=error.hint,
    )


def raise_failure(reports: Sequence[PartitionReport]) -> None:
    """Raise what a task has reported; what never passes comes first."""
    errors = [
        _REPORTED[report.error](report.message or "", hint=report.hint)
        for report in reports
        if report.error is not None
    ]
    if errors:
        raise min(errors, key=lambda error: error.is_transient)
