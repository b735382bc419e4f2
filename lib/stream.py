"""The streaming query: source, plan and sink put together, started, watched and stopped."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.contract import Contract
from lib.encode_spark import OutputSettings
from lib.errors import SinkError
from lib.messages import DeadLetterFormat
from lib.pipeline import Scorer, score_records
from lib.root_cause import find_root_cause
from lib.settings import AVAILABLE_NOW, ScoreStreamSettings
from lib.sinks.exactly_once import ExactlyOnceSink
from lib.sinks.kafka import write_at_least_once
from lib.sinks.session import Hook, ignore
from lib.sinks.transaction import TransactionSettings
from lib.sources.kafka import KafkaSourceSettings, read_stream
from lib.stop_signal import StopSignal
from lib.telemetry.console import ProgressView
from lib.telemetry.progress import OBSERVATION, BatchProgress, Totals

logger = logging.getLogger(__name__)

_POLL_S = 0.2
# How long a stop waits for the batch under way; a supervisor kills soon after anyway.
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class ScoringStream:
    """A running query, and the sink that knows why it failed."""

    query: StreamingQuery
    sink: ExactlyOnceSink | None

    def follow(self, view: ProgressView, stop: StopSignal) -> Totals:
        """Show progress until the query ends by itself or a stop is requested.

        Raises:
            ScoringError: why the query failed.
        """
        totals, seen = Totals(), -1
        while self.query.isActive and not stop.wait(_POLL_S):
            totals, seen = self._show_new(view, totals, seen)
        if self.query.isActive:
            self._finish_batch()
            self.query.stop()
        if self.sink is not None:
            self.sink.close()
        totals, _ = self._show_new(view, totals, seen)
        view.close(totals)
        self._raise_failure(stop)
        return totals

    def _finish_batch(self) -> None:
        """Wait until no batch is under way, or the one under way has ended."""
        running = self._latest_batch()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while self.query.isActive and time.monotonic() < deadline:
            if not self.query.status["isTriggerActive"] or self._latest_batch() != running:
                return
            time.sleep(_POLL_S / 10)

    def _latest_batch(self) -> int:
        return max((batch.batch_id for batch in self._progress()), default=-1)

    def _progress(self) -> Iterator[BatchProgress]:
        for event in self.query.recentProgress:
            yield BatchProgress.from_event(json.loads(event.json))

    def _show_new(self, view: ProgressView, totals: Totals, seen: int) -> tuple[Totals, int]:
        for batch in self._progress():
            if batch.batch_id > seen and batch.records:
                totals, seen = totals.add(batch), batch.batch_id
                view.show(batch, totals)
        return totals, seen

    def _raise_failure(self, stop: StopSignal) -> None:
        if stop.is_requested:
            return  # what the stop interrupted has not been written, and is done at the next start
        if self.sink is not None and self.sink.failure is not None:
            raise self.sink.failure
        try:
            failure = self.query.exception()
        except StreamingQueryException as error:  # some versions raise what others return
            failure = error
        if failure is not None:
            raise SinkError(
                f"the query failed: {find_root_cause(failure)}",
                hint="start it again: it resumes where it was; --verbose shows the whole trace",
            ) from failure


def start_stream(
    spark: SparkSession,
    settings: ScoreStreamSettings,
    scorer: Scorer,
    contract: Contract,
    hook: Hook = ignore,
) -> ScoringStream:
    """Start scoring.

    Args:
        spark: the session.
        settings: of the job.
        scorer: a loaded model backend.
        contract: what a record has to look like.
        hook: for crash tests; see ``TransactionalWriter``.

    Raises:
        ScoringError: it cannot start, or must not.
    """
    sink = None
    start: str | Mapping[int, int] = settings.starting_offsets
    if settings.delivery == "exactly-once":
        sink = ExactlyOnceSink(spark, _transactions(settings), settings.checkpoint, hook)
        start = sink.start(settings.starting_offsets).starting_offsets or start
    source = KafkaSourceSettings(
        settings.bootstrap_servers,
        settings.input_topic,
        start,
        settings.max_offsets_per_trigger,
        settings.kafka,
    )
    output = OutputSettings(
        output_topic=settings.output_topic,
        dead_letter_topic=settings.dead_letter_topic,
        consumer_group=settings.query_name,
        dead_letter_format=DeadLetterFormat(settings.dead_letter_format),
    )
    messages = score_records(read_stream(spark, source), scorer, contract, output)
    counted = count_messages(messages, output)
    if sink is not None:
        writer = counted.writeStream.foreachBatch(sink)
    else:
        writer = write_at_least_once(counted, settings.bootstrap_servers, settings.kafka)
    writer = writer.queryName(settings.query_name).option("checkpointLocation", settings.checkpoint)
    return ScoringStream(_with_trigger(writer, settings.trigger).start(), sink)


def count_messages(messages: DataFrame, output: OutputSettings) -> DataFrame:
    """Let Spark count predictions and dead letters on the way; see ``BatchProgress``."""
    return messages.observe(
        OBSERVATION,
        F.count_if(F.col("topic") == output.output_topic).alias("predictions"),
        F.count_if(F.col("topic") == output.dead_letter_topic).alias("dead_letters"),
    )


def _transactions(settings: ScoreStreamSettings) -> TransactionSettings:
    return TransactionSettings(
        bootstrap_servers=settings.bootstrap_servers,
        query_name=settings.query_name,
        source_topic=settings.input_topic,
        kafka=settings.kafka,
    )


def _with_trigger(writer: DataStreamWriter, trigger: str) -> DataStreamWriter:
    if trigger == AVAILABLE_NOW:
        return writer.trigger(availableNow=True)
    return writer.trigger(processingTime=trigger)
