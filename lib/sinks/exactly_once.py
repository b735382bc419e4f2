"""Exactly once to Kafka, for ``foreachBatch``."""

from __future__ import annotations

import json
import logging

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from lib.errors import ScoringError, SinkError
from lib.kafka_admin import build_admin, read_offsets
from lib.messages import MESSAGE_COLUMNS
from lib.root_cause import find_root_cause
from lib.sinks.checkpoint import CheckpointReader
from lib.sinks.resume import GroupPosition, ResumePlan, decide_resume
from lib.sinks.session import Hook, ignore
from lib.sinks.transaction import TransactionalWriter, TransactionSettings

logger = logging.getLogger(__name__)


class ExactlyOnceSink:
    """Writes each micro-batch to Kafka in one transaction, together with its source offsets.

    Guarantee: for each source record, a read_committed reader sees its messages exactly once,
    through any crash of driver, executors or brokers, and any restart. All messages of a batch, to
    whatever topic, appear together.

    Assumes: one source topic; every row keeps the source's partition and offset; one running query
    for each ``query_name`` (a second one fences the first); see also ``TransactionalWriter``.

    On failure: raises, so that the query fails before Spark notes the batch as done; the next start
    repeats the batch and leaves out what was committed. ``failure`` holds the cause.

    Cost: the batch is collected on the driver as Arrow, so driver memory and
    ``spark.driver.maxResultSize`` bound ``maxOffsetsPerTrigger``; the transaction itself takes
    milliseconds. Runs on the driver.

    Args:
        spark: the session.
        settings: names, addresses and times of the transactions.
        checkpoint: the query's checkpoint location.
        hook: see ``TransactionalWriter``.

    Example:
        sink = ExactlyOnceSink(spark, settings, checkpoint)
        plan = sink.start(starting_offsets="earliest")
        writer = messages.writeStream.foreachBatch(sink)
        query = writer.option("checkpointLocation", checkpoint).start()
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: TransactionSettings,
        checkpoint: str,
        hook: Hook = ignore,
    ) -> None:
        self._settings = settings
        self._checkpoint = CheckpointReader(spark, checkpoint, settings.source_topic)
        self._writer = TransactionalWriter(settings, hook)
        self._query_id = "-"
        self.failure: ScoringError | None = None

    def start(self, starting_offsets: str) -> ResumePlan:
        """Fence an older driver and decide where to resume. Call before the query starts.

        Args:
            starting_offsets: "earliest" or "latest"; counts at the very first start only.

        Raises:
            ResumeRefusedError: checkpoint and group contradict each other.
            SinkError: Kafka cannot be written to.
        """
        settings = self._settings
        self._writer.open()
        admin = build_admin(settings.bootstrap_servers, settings.kafka)
        earliest = read_offsets(admin, settings.source_topic, "earliest")
        configured = earliest
        if starting_offsets == "latest":
            configured = read_offsets(admin, settings.source_topic, "latest")
        group = GroupPosition(self._writer.committed, earliest, configured)
        plan = decide_resume(
            self._checkpoint.read_position(),
            group,
            topic=settings.source_topic,
            group_id=settings.query_name,
        )
        if plan.seed:
            self._writer.write(None, plan.seed, batch_id=-1, query_id=self._query_id)
        logger.info("resume group=%s from=%s", settings.query_name, plan.reason)
        return plan

    def __call__(self, frame: DataFrame, batch_id: int) -> None:
        """Write one micro-batch; Spark calls this."""
        try:
            messages = self._collect(frame, batch_id)
            ends = self._checkpoint.read_end_offsets(batch_id)
            if self._query_id == "-":
                self._query_id = self._checkpoint.read_query_id()
            report = self._writer.write(messages, ends, batch_id=batch_id, query_id=self._query_id)
        except ScoringError as error:
            self.failure = error
            # Spark gets one line: it buries causes in text, and the pattern that it searches this
            # text with overflows the stack where the text is long.
            raise type(error)(error.message, hint=error.hint) from None
        logger.info(
            "batch=%d written=%s already_written=%d duration_ms=%.0f",
            report.batch_id,
            json.dumps(dict(report.written)),
            report.already_written,
            report.duration_s * 1000,
        )

    def _collect(self, frame: DataFrame, batch_id: int) -> pa.Table:
        try:
            return frame.select(*MESSAGE_COLUMNS).toArrow()
        except Exception as error:
            raise SinkError(
                f"batch {batch_id} was not scored: {find_root_cause(error)}",
                hint="nothing of it was written; --verbose shows the whole trace",
            ) from error

    def close(self) -> None:
        """Let go of the Kafka clients."""
        self._writer.close()
