"""What a task does on an executor: write the source partition that it has scored, and report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

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
from lib.sinks.header_text import parse_header_column
from lib.sinks.partition_writers import settings_of_partition
from lib.sinks.resume import Offsets
from lib.sinks.settings import TransactionSettings
from lib.sinks.stamp import Author
from lib.sinks.transaction import TransactionalWriter
from lib.worker_end import raise_broken_pipes
from lib.worker_memory import exempt_what_is_loaded

REPORT_SCHEMA = (
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

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of :data:`REPORT_SCHEMA`."""
        return cls(**{**row, "written": json.loads(row["written"])})

    def to_batch(self) -> pa.RecordBatch:
        """One row of :data:`REPORT_SCHEMA`."""
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
        """Write all rows in one transaction; the result is one row, none for no rows.

        The headers are text; see ``lib.sinks.header_text``.
        """
        filled = [batch for batch in batches if batch.num_rows]
        if filled:
            table = pa.Table.from_batches(filled)
            headers = parse_header_column(table["headers"])
            position = table.column_names.index("headers")
            messages = table.set_column(position, "headers", headers)
            with raise_broken_pipes():
                report = self._write(messages).to_batch()
            exempt_what_is_loaded()
            yield report

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


def raise_failure(reports: Sequence[PartitionReport]) -> None:
    """Raise what a task has reported; what never passes comes first."""
    errors = [
        _REPORTED[report.error](report.message or "", hint=report.hint)
        for report in reports
        if report.error is not None
    ]
    if errors:
        raise min(errors, key=lambda error: error.is_passing)
