"""Writes the query's messages at least once, with Spark's own Kafka sink."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.encode.observation import (
    DEAD_LETTERS,
    OBSERVATION,
    PREDICTIONS,
    add_waits,
    observation_exprs,
    read_tally,
)
from lib.errors import QueryFailedError, ScoringError, SourceTimestampError
from lib.exactly_once.checkpoint.files import prefer_plain_files
from lib.exactly_once.checkpoint.planned_offsets import read_planned_batch
from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.spare import MAY_BE_SPARED, MOST_REST_S, REST_S
from lib.messages.dead_letter import OutputSettings
from lib.messages.tally import Tally
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.sink.kafka import write_at_least_once, write_batch_at_least_once
from lib.sink.kept import keep_on_disk
from lib.source.kafka import KafkaSourceSettings, read_stream
from lib.source.ranges import read_ranges
from lib.stream.plan import ScoringPlan
from lib.telemetry.progress import MessageCounts, find_observation

# The number of progress events that Spark keeps by default.
_KEPT_COUNTS = 100
#: The time for which a query in real-time mode reads micro-batches after a record that it cannot
#: read. The producer of one such record often writes more, and each return costs some seconds.
DETOUR_S = 60.0

logger = logging.getLogger(__name__)


class AtLeastOnceQuery:
    """Builds the query's writer, for its start and each restart.

    A record that Spark's Kafka source cannot read ends the query. From then on, the query reads
    its batches without that source: until the process ends, or in real-time mode, which has no such
    batches, in micro-batches for a while.

    A failure that may lie in what shadows answer lets the query go on without them for a while.

    Args:
        spark: the Spark session.
        settings: the settings of the job.
        source: the settings of the source.
        output: the topics and the format of the messages.
        plan: a function that plans how records become messages.
        counts_failures: a function that tells whether Spark counts the records on which the model
            fails, which is one in the JVM.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: ScoreStreamSettings,
        source: KafkaSourceSettings,
        output: OutputSettings,
        plan: Callable[[DataFrame], ScoringPlan],
        *,
        counts_failures: Callable[[], bool],
    ) -> None:
        self._spark = spark
        self._settings = settings
        self._source = source
        self._output = output
        self._plan = plan
        self._counts_failures = counts_failures
        self._checkpoint = CheckpointReader(spark, settings.checkpoint, settings.input_topic)
        self._reads_itself = False
        self._detour_end_s = 0.0
        self._has_shadows = False
        self._rest_s = REST_S
        # The time, by time.monotonic, at which shadows that rest go on; None if none rests.
        self._rest_end_s: float | None = None
        # Spark's number of a batch that this has written, not Spark → what was counted.
        self._observed: dict[int, Mapping[str, Any]] = {}

    def build_writer(self) -> DataStreamWriter:
        """Return a writer that is not started yet.

        Raises:
            CheckpointDamagedError: a file of the checkpoint is damaged or missing.
        """
        prefer_plain_files(self._spark, self._settings.checkpoint)
        self._checkpoint.check_writable()
        self._checkpoint.refuse_damage()
        self._tell_owner()
        if self._is_in_detour and time.monotonic() >= self._detour_end_s:
            self._reads_itself = False
            logger.info("real-time mode goes on")
        if self._is_rest_over:
            self._rest_end_s = None
            logger.info("shadows score again")
        if self._reads_itself:
            limit = self._settings.max_offsets_per_trigger
            source = replace(self._source, max_offsets_per_trigger=limit)
            records = read_stream(self._spark, source)
            writer = records.writeStream.foreachBatch(self._write_batch)
        else:
            records = read_stream(self._spark, self._source)
            messages = self._make_messages(records)
            messages = add_waits(messages, self._output)
            counts = observation_exprs(self._output, failures=self._counts_failures())
            messages = messages.observe(OBSERVATION, *counts)
            writer = write_at_least_once(messages, self._settings.cluster)
        writer = writer.queryName(self._settings.query_name)
        return writer.option("checkpointLocation", self._settings.checkpoint)

    @property
    def is_real_time(self) -> bool:
        """Whether the writer that was built last is for real-time mode."""
        return self._settings.is_real_time and not self._reads_itself

    @property
    def is_detour_over(self) -> bool:
        """Whether real-time mode, or what shadows answer, is to be tried again."""
        is_over = self._is_in_detour and time.monotonic() >= self._detour_end_s
        return is_over or self._is_rest_over

    @property
    def _is_in_detour(self) -> bool:
        return self._settings.is_real_time and self._reads_itself

    @property
    def _is_rest_over(self) -> bool:
        return self._rest_end_s is not None and time.monotonic() >= self._rest_end_s

    def _make_messages(self, records: DataFrame) -> DataFrame:
        """Plan the messages of records, without what shadows answer while they rest."""
        planned = self._plan(records)
        spare = None if planned.map_in_arrow is None else planned.map_in_arrow.spare
        self._has_shadows = spare is not None
        if spare is not None and self._rest_end_s is not None:
            planned = replace(planned, map_in_arrow=spare)
        return planned.to_messages()

    def _tell_owner(self) -> None:
        """Log a line if another query has used the checkpoint, and note that this one does now.

        At least once, the checkpoint alone holds the position, whatever the query is called.
        """
        owner, name = self._checkpoint.find_query_name(), self._settings.query_name
        if owner not in (None, name):
            logger.warning(
                "the checkpoint %s belongs to query %s: query %s goes on where that one was (name"
                " another --checkpoint if it must not)",
                *(self._settings.checkpoint, owner, name),
            )
        self._checkpoint.note_query_name(name)

    def judge(self, failure: ScoringError) -> ScoringError:
        """Return the failure, or an error that may pass if the next start reads its batch."""
        if self._has_shadows and self._rest_end_s is None and isinstance(failure, MAY_BE_SPARED):
            return self._rest(failure)
        if not isinstance(failure, SourceTimestampError):
            return failure
        self._reads_itself = True
        self._detour_end_s = time.monotonic() + DETOUR_S
        what = "from now on batches are read without Spark's Kafka source"
        if self._settings.is_real_time:
            what = (
                f"for {DETOUR_S:.0f} s micro-batches are read without Spark's Kafka source,"
                " then real-time mode goes on"
            )
        logger.warning("%s; %s (%s)", failure.message, what, failure.hint)
        return QueryFailedError(failure.message, hint=failure.hint)

    def _rest(self, failure: ScoringError) -> ScoringError:
        """Let shadows rest after a failure; return one after which the query is started again."""
        logger.warning(
            "the query goes on without what shadows answer for %.0f s: %s",
            *(self._rest_s, failure.message),
        )
        self._rest_end_s = time.monotonic() + self._rest_s
        self._rest_s = min(2 * self._rest_s, MOST_REST_S)
        return QueryFailedError(failure.message, hint=failure.hint)

    def count(self, batch_id: int) -> MessageCounts | None:
        """Count the messages of one of the last batches, if this has written it, not Spark."""
        observed = self._observed.get(batch_id)
        if observed is None:
            return None
        return MessageCounts(observed[PREDICTIONS], observed[DEAD_LETTERS])

    def tally(self, event: Mapping[str, Any]) -> Tally | None:
        """Return the counts of the batch of one of Spark's events; None if it is not counted."""
        observed = self._observed.get(int(event["batchId"])) or find_observation(event)
        return read_tally(observed, self._output)

    def _write_batch(self, frame: DataFrame, batch_id: int) -> None:
        topic = self._settings.input_topic
        planned = read_planned_batch(self._spark, batch_id, topic)
        starts = planned.starts
        if starts is None:
            starts = self._checkpoint.read_start_offsets(0)
        records = read_ranges(self._spark, self._settings.cluster, topic, starts, planned.ends)
        with keep_on_disk(self._make_messages(records)) as messages:
            # Spark's batch sink for Kafka completes no observation.
            counted = add_waits(messages, self._output)
            (row,) = counted.agg(*observation_exprs(self._output)).collect()
            write_batch_at_least_once(messages, self._settings.cluster)
        self._observed[batch_id] = row.asDict()
        self._observed.pop(batch_id - _KEPT_COUNTS, None)
