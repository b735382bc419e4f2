"""A task on an executor writes the source partition that it has scored, and reports."""

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
    BrakeError,
    ModelFailingError,
    PlanRefusedError,
    SinkClockError,
    SinkError,
    SinkFencedError,
    SinkOffsetsGoneError,
    SinkRejectedError,
    SinkRetryExhaustedError,
    SinkTakenOverError,
)
from lib.exactly_once.commit.base import ArrowMap, Check, MessageBrake
from lib.exactly_once.commit.partition_writers import settings_of_partition
from lib.exactly_once.commit.task_writer import TaskWriter
from lib.exactly_once.offsets.resume import Offsets
from lib.exactly_once.offsets.stamp import Author, is_signed_by
from lib.exactly_once.transaction.parts import iter_parts
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter, WriteReport
from lib.messages.header_text import parse_header_column
from lib.messages.tally import Tally
from lib.spark.worker_end import raise_broken_pipes
from lib.spark.worker_memory import exempt_what_is_loaded, pause_collection

REPORT_SCHEMA = (
    "partition int, written string, already_written string, tally string, may_restore boolean,"
    " error string, message string, hint string"
)
# Errors that a task reports instead of raising: Spark would only repeat the task.
_REPORTED = {
    kind.__name__: kind
    for kind in (
        SinkTakenOverError,
        SinkOffsetsGoneError,
        SinkRejectedError,
        SinkClockError,
        SinkRetryExhaustedError,
        ModelFailingError,
        BrakeError,
        PlanRefusedError,
        SinkError,
    )
}


@dataclass(frozen=True)
class PartitionReport:
    """The report of a task: the messages that it has written, or its error.

    Attributes:
        partition: the source partition.
        written: topic → number of messages.
        already_written: topic → number of messages that an earlier attempt had committed.
        tally: the counts of the messages; None if they are not counted.
        may_restore: whether the group's offset is gone, and no attempt of this task can have
            written.
        error: the name of a class in :data:`_REPORTED`; None without an error.
        message, hint: the texts of the error.
    """

    partition: int
    written: Mapping[str, int] = field(default_factory=dict)
    already_written: Mapping[str, int] = field(default_factory=dict)
    tally: Tally | None = None
    may_restore: bool = False
    error: str | None = None
    message: str | None = None
    hint: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of :data:`REPORT_SCHEMA`."""
        counts = {name: json.loads(row[name]) for name in ("written", "already_written")}
        tally = None if row["tally"] is None else Tally.from_json(json.loads(row["tally"]))
        return cls(**{**row, **counts, "tally": tally})

    def to_batch(self) -> pa.RecordBatch:
        """Return the report as one row of :data:`REPORT_SCHEMA`."""
        columns = {
            "partition": pa.array([self.partition], pa.int32()),
            "written": pa.array([json.dumps(dict(self.written))]),
            "already_written": pa.array([json.dumps(dict(self.already_written))]),
            "tally": pa.array(
                [None if self.tally is None else json.dumps(self.tally.to_json())], pa.string()
            ),
            "may_restore": pa.array([self.may_restore]),
            "error": pa.array([self.error], pa.string()),
            "message": pa.array([self.message], pa.string()),
            "hint": pa.array([self.hint], pa.string()),
        }
        return pa.RecordBatch.from_pydict(columns)


@dataclass(frozen=True)
class PartitionTask:
    """The work of a task on its source partition's messages. Runs in a Python worker.

    Attributes:
        settings, author: the settings of the query, and the run that signs its offsets.
        query_id, batch_id: Spark's ids; the stamp holds them.
        starts: partition → first offset of the batch; new partitions are absent.
        ends: partition → end offset of the batch (exclusive).
        seen: partition → stamp that the driver knows. It is a stamp of this run where the driver
            has claimed the partition, and the task refuses other partitions. A stamp that changes
            to one of another run means that a second driver took over.
        map_in_arrow: the function that makes messages of the task's rows; None where the rows are
            messages.
        is_repeated: whether an earlier task of this run may have written a part of the batch.
        counted: partition → the offset below which this run has counted the answers; None if
            messages are not counted.
        check: a function that gets the messages before they are written; None for none.
        brake: a judge of the messages, who is asked after that; None for none.
    """

    settings: TransactionSettings
    author: Author
    query_id: str
    batch_id: int
    starts: Offsets
    ends: Offsets
    seen: Mapping[int, str | None]
    map_in_arrow: ArrowMap | None = None
    is_repeated: bool = False
    counted: Offsets | None = None
    check: Check | None = None
    brake: MessageBrake | None = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write all rows in one transaction, or in several if memory would not hold them.

        The result is one row, or none if there were no rows.
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
        """Write the partition; its writer opens while messages are made. None without messages."""
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
            return PartitionReport(partition, whole.written, whole.already_written, whole.tally)
        except SinkFencedError as error:
            # A newer attempt of this very task has fenced it, or another driver. Spark's next
            # attempt reads the stamps first, and so can tell.
            if not isinstance(error, SinkTakenOverError):
                raise
            return _report_error(partition, error)
        except SinkOffsetsGoneError as error:
            is_first = _is_first_attempt() and not self.is_repeated
            may_restore = kept.opened.exception() is error and is_first
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
        if self.check is not None:
            self.check(messages)
        if self.brake is not None:
            self.brake.judge(messages)
        return kept.write(messages, partition, end, self.batch_id, self.starts, self.counted)


def _iter_filled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return (batch for batch in batches if batch.num_rows)


def _parse_headers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Parse headers from the text that Spark gives workers; see ``lib.messages.header_text``."""
    for batch in batches:
        position = batch.schema.get_field_index("headers")
        yield batch.set_column(position, "headers", parse_header_column(batch["headers"]))


def _is_first_attempt() -> bool:
    """Tell whether this is the first attempt of the task; true outside of a task."""
    from pyspark import TaskContext  # the driver, which needs only the report, does without

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
    """Raise an error that a task has reported; one that never passes comes first."""
    errors = [
        _REPORTED[report.error](report.message or "", hint=report.hint)
        for report in reports
        if report.error is not None
    ]
    if errors:
        raise min(errors, key=lambda error: error.is_transient)
