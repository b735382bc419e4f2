"""Exactly once from one Kafka topic to others, for any Structured Streaming query without state.

The sink knows neither models nor the contents of records. ``docs/exactly_once_sink.md`` shows how
another job uses it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import NoReturn, Self

from confluent_kafka import KafkaException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.bounded import StuckError, run_bounded
from lib.errors import (
    BrakeError,
    PlanRefusedError,
    QueryFailedError,
    ScoringError,
    SinkError,
    SinkFencedError,
    SinkRetryExhaustedError,
    SinkTopicChangedError,
    SourceRecordsGoneError,
    SourceTimestampError,
)
from lib.exactly_once.checkpoint.files import prefer_plain_files
from lib.exactly_once.checkpoint.planned_offsets import read_planned_batch
from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.commit.base import ArrowMap, Batch, Check, CommitStrategy, MessageBrake
from lib.exactly_once.commit.driver import DriverCommit
from lib.exactly_once.commit.executors import ExecutorCommit
from lib.exactly_once.commit.topic_watch import TopicWatch
from lib.exactly_once.offsets.range_end import RangeEnd
from lib.exactly_once.offsets.resume import Offsets, ResumePlan
from lib.exactly_once.offsets.stamp import Author, Committer, make_run_id
from lib.exactly_once.spare import SpareWriting
from lib.exactly_once.start.plan_check import check_plan
from lib.exactly_once.start.query_lease import QueryLease
from lib.exactly_once.transaction.failures import build_sink_error
from lib.exactly_once.transaction.settings import ExactlyOnceSettings, TransactionSettings
from lib.exactly_once.transaction.writer import WriteReport
from lib.kafka.admin import build_admin, read_topic_id
from lib.kafka.connection.connect import connect
from lib.messages.columns import (
    ALL_TYPES,
    COLLECTED_COLUMNS,
    REQUIRED_COLUMNS,
    SOURCE_POSITION,
    TALLY_COLUMNS,
)
from lib.source.kafka import KafkaSourceSettings, read_stream
from lib.source.ranges import read_ranges
from lib.spark.failed_query import build_query_error
from lib.spark.session import check_connector

__all__ = ["COMMITS", "ExactlyOnceSettings", "ExactlyOnceSink", "Making"]

logger = logging.getLogger(__name__)

# After a failure the brokers, which may be its cause, are asked for the topic no longer than this.
_JUDGE_TIMEOUT_S = 3.0
# The number of progress events that Spark keeps by default.
_KEPT_REPORTS = 100
# The number of batches that are read without Spark's Kafka source after one that it cannot read.
# A producer that writes nanoseconds does so in all records, and each failure of a task costs time
# and a long trace in the log.
_REREAD_BATCHES = 100


#: A function that gets the report of each batch once it is written.
OnReport = Callable[[WriteReport], None]
# A function that makes the frame of messages of a frame of records.
Remake = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Making:
    """The functions that make the messages of a batch; see :meth:`ExactlyOnceSink.write_stream`.

    Attributes:
        map_in_arrow, remake, check: the arguments of these names.
    """

    map_in_arrow: ArrowMap | None = None
    remake: Remake | None = None
    check: Check | None = None


#: A function that gets the number of a batch, and says how its messages are made.
Choose = Callable[[int], Making]

#: ``ExactlyOnceSettings.commit`` → the strategy that commits batches.
COMMITS: dict[str, Callable[[TransactionSettings, Author], CommitStrategy]] = {
    "driver": DriverCommit,
    "executor": ExecutorCommit,
}


class ExactlyOnceSink:
    """Writes each micro-batch to Kafka in transactions, together with its source offsets.

    Guarantee: for each source record, a read_committed reader sees its messages exactly once,
    through any crash of driver, executors or brokers, and any restart. With ``commit="driver"`` all
    messages of a batch, to whatever topics, appear together; with ``commit="executor"`` those of a
    source partition and batch.

    Assumes: one source topic, whose records stay until they are read; every row keeps the source
    partition and offset of the record it answers, and the order of a partition's rows; one running
    query for each ``query_name`` (a second one waits for the first to end, and fences it if it is
    silent for longer than ``lease_s``); nobody else commits for the group of that name; brokers
    keep what they acknowledge (replication, ``min.insync.replicas``); readers use
    ``isolation.level=read_committed``.

    On failure: raises, so that the query fails before Spark notes the batch as done; the next start
    repeats the batch and leaves out the messages that were committed. ``failure`` holds the cause.
    A start that would lose or repeat records is refused.

    Cost: see ``DriverCommit`` and ``ExecutorCommit``. Runs on the driver.

    Args:
        spark: the Spark session.
        settings: the names, addresses, times and the commit strategy.
        on_report: a function that is called after each batch that was written; None for none. If
            there is one, messages need ``counted_columns`` too, and the report's ``tally`` counts
            the answers of this run, each once however often batches or tasks are repeated.
        counted_columns: the columns by which they are counted; with
            ``lib.messages.columns.BINS`` among them the tally has the counts by bin too.
        brake: a judge of each batch's messages before they are written; None for none.

    Example:
        sink = ExactlyOnceSink(spark, settings).start()
        orders = sink.read_stream()
        query = sink.write_stream(orders.select(...)).start()
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: ExactlyOnceSettings,
        on_report: OnReport | None = None,
        counted_columns: Sequence[str] = TALLY_COLUMNS,
        brake: MessageBrake | None = None,
    ) -> None:
        self._spark = spark
        self._counted_columns = counted_columns
        self._settings = settings
        self._checkpoint = CheckpointReader(spark, settings.checkpoint, settings.source_topic)
        self._run_id = make_run_id()
        self._watch: TopicWatch | None = None
        self._distrust: str | None = None
        self._commit: CommitStrategy | None = None
        self._lease: QueryLease | None = None
        self._plan: ResumePlan | None = None
        self._suspect_batch: int | None = None
        self._is_start_given_up = threading.Event()
        # Whether a start that was given up still uses the clients, on its own thread.
        self._is_abandoned = False
        self._making = Making()
        self._choose: Choose | None = None
        self._rereads_left = 0
        self._reports: dict[int, WriteReport] = {}
        self._on_report = on_report
        self._brake = brake
        # Partition → the offset below which this run has counted the answers.
        self._counted: dict[int, int] | None = None
        self._spare = SpareWriting(lambda: not self._is_start_given_up.is_set(), self._forgive)
        self.failure: ScoringError | None = None

    def start(self) -> Self:
        """Fence older runs, decide where to resume, and take over the group.

        Call it before the query is started, and before it is started again after a failure.

        Raises:
            SetupError: Spark's Kafka connector is missing.
            SettingsError: the checkpoint cannot be written, or librdkafka does not take an option.
            KafkaSetupError: the brokers are not reached, or do not let the user in.
            ResumeRefusedError: checkpoint, offsets and stamps contradict each other.
            SinkFencedError: another run has taken over meanwhile.
            SinkError: Kafka cannot be written to.
        """
        self.failure = None
        self._rereads_left = 0
        check_connector(self._spark)
        prefer_plain_files(self._spark, self._settings.checkpoint)
        self._checkpoint.check_writable()
        self._is_start_given_up.clear()
        what = f"taking over query {self._settings.query_name}"
        try:
            # A thread of its own, which a stop can abandon: many calls wait for Kafka here.
            run_bounded(self._start, timeout_s=inf, what=what, given_up=self._is_start_given_up)
        except KafkaException as error:
            what = f"query {self._settings.query_name} cannot take over its group"
            raise build_sink_error(what, error.args[0], self._settings) from error
        except StuckError as error:
            self._is_abandoned = True
            raise SinkRetryExhaustedError(str(error)) from error
        return self

    def go_on(self) -> Self:
        """Stay as it is for another query of the same run, in place of :meth:`start`.

        It is for a query that ended because ``choose`` raised: nothing of its last batch was made,
        and the sink still owns the group.
        """
        self.failure, self._suspect_batch = None, None
        self._plan = replace(self.plan, set_aside=None)
        return self

    def _start(self) -> None:
        if self._commit is None:
            # A later start waits for the brokers of a query that ran already.
            connect(self._settings.cluster)
        admin = build_admin(self._settings.cluster)
        topic_id = read_topic_id(admin, self._settings.source_topic)
        self._watch = TopicWatch(admin, self._settings.source_topic, topic_id)
        if self._commit is None:
            author = Author(
                self._run_id,
                topic_id,
                Committer(self._settings.commit),
                self._settings.lease_s,
            )
            build = COMMITS[self._settings.commit]
            self._commit = build(self._settings, author)
            self._lease = QueryLease(
                self._settings, self._run_id, self._commit, self._note_replacement
            )
        assert self._lease is not None
        found = self._lease.acquire(admin, self._checkpoint, topic_id, self._distrust)
        self._plan, self._suspect_batch = found.plan, found.suspect_batch
        if self._on_report is not None and self._counted is None:
            self._counted = {partition: at or 0 for partition, at in self.positions.items()}
        if self._brake is not None:
            self._brake.pass_over(self.positions)
        self._distrust = None
        if found.plan.set_aside is not None:
            self._reports.clear()  # a new checkpoint counts batches from 0 again

    def _note_replacement(self, error: SinkFencedError) -> None:
        """Note that another run has taken over, so that whoever runs the query ends it."""
        if self.failure is None:
            self.failure = error

    @property
    def plan(self) -> ResumePlan:
        """The plan that says where the query resumes; after :meth:`start`."""
        if self._plan is None:
            raise PlanRefusedError("the sink has not been started", hint="call start() first")
        return self._plan

    @property
    def suspect_batch(self) -> int | None:
        """The number of the first batch, if more than one run has ended in it; None otherwise."""
        return self._suspect_batch

    @property
    def positions(self) -> Mapping[int, int | None]:
        """Partition → the first offset without an answer; after :meth:`start`."""
        return {} if self._commit is None else dict(self._commit.committed)

    @property
    def committed_all_s(self) -> float | None:
        """The time, by ``time.monotonic``, of the last commit of all offsets; None before any."""
        return None if self._commit is None else self._commit.committed_all_s

    def read_stream(self) -> DataFrame:
        """Read the source topic from the first record without an answer; after :meth:`start`.

        Returns:
            A streaming frame with ``source_key``, ``source_value``, ``source_headers``,
            ``source_topic``, ``source_partition``, ``source_offset`` and ``source_timestamp``.
        """
        settings = self._settings
        source = KafkaSourceSettings(
            settings.cluster,
            settings.source_topic,
            self.plan.starting_offsets or "earliest",  # if its checkpoint decides, Spark uses none
            settings.max_offsets_per_trigger,
            settings.partitions,
        )
        records = read_stream(self._spark, source)
        end = self.plan.end
        return records if end is None else records.where(_lies_before(end))

    @property
    def is_done(self) -> bool:
        """Whether the run has an end, and has answered all before it."""
        return self.plan.is_done

    def write_stream(
        self,
        messages: DataFrame,
        map_in_arrow: ArrowMap | None = None,
        remake: Remake | None = None,
        check: Check | None = None,
        choose: Choose | None = None,
    ) -> DataStreamWriter:
        """Return a writer for messages, with name and checkpoint set; start it with any trigger.

        Args:
            messages: a frame with ``topic`` (string), ``key`` and ``value`` (binary or string),
                ``source_partition``, ``source_offset``, and maybe ``headers`` (an array like that
                of Spark's Kafka source). It may have any number of rows for a source record, in the
                order of the source.
            map_in_arrow: a function that makes the messages; it gives Arrow batches of
                ``lib.messages.columns.MESSAGE_TYPES``. ``messages`` is its input then, and needs
                only ``source_partition`` and ``source_offset``. It is faster than
                ``messages.mapInArrow``: fewer tasks run it where partitions are many, and with
                commits on executors the worker that writes runs it, without a way through the JVM.
                If it has an attribute ``spare``, another such function, a batch that fails is
                repeated with that one; see :mod:`lib.exactly_once.spare`.
            remake: a function that makes ``messages`` of the records of one batch, which has the
                columns of :meth:`read_stream`. With it the sink reads a batch by itself that
                Spark's Kafka source cannot read: one with a timestamp in nanoseconds. Without it
                such a record ends the query.
            check: a function that gets the messages as an Arrow table before they are written: all
                of a batch on the driver, or with commits on executors those of a source partition,
                in a worker. Its error ends the query, and nothing of them is written.
            choose: a function that is called before each batch, and says how that batch is made: by
                another ``map_in_arrow``, ``remake`` and ``check`` than those given here, which
                only stand for the first. It may raise, which ends the query before anything is
                made. It has to choose the same for a batch that is repeated, whose messages may be
                visible in part. ``lib.exactly_once.checkpoint.makers`` helps it to remember.

        Raises:
            PlanRefusedError: a column is missing, the plan has state, or it does not suit commits
                on executors.
        """
        self._making, self._choose = Making(map_in_arrow, remake, check), choose
        _check_columns(messages, REQUIRED_COLUMNS if map_in_arrow is None else SOURCE_POSITION)
        if map_in_arrow is None and self._on_report is not None:
            _check_columns(messages, self._counted_columns)
        frame = self._select_columns(messages) if map_in_arrow is None else messages
        check_plan(frame, is_by_tasks=self._settings.commit == "executor")
        return (
            frame.writeStream.foreachBatch(self)
            .queryName(self._settings.query_name)
            .option("checkpointLocation", self._settings.checkpoint)
        )

    def __call__(self, frame: DataFrame, batch_id: int) -> None:
        """Write one micro-batch; Spark calls this."""
        assert self._commit is not None, "write_stream comes after start"
        assert self._watch is not None
        try:
            if self._choose is not None:
                self._making = self._choose(batch_id)
            planned = read_planned_batch(self._spark, batch_id, self._settings.source_topic)
            batch = Batch(
                frame,
                batch_id,
                planned.query_id,
                self._find_first_offsets() if planned.starts is None else planned.starts,
                planned.ends,
                self._watch,
                is_suspect=batch_id == self._suspect_batch,
                map_in_arrow=self._making.map_in_arrow,
                counted=self._counted,
                counted_columns=self._counted_columns,
                check=self._making.check,
                brake=self._brake,
            )
            batch = self._limit(batch)
            report = self._spare.write(batch, partial(self._write, self._commit))
            self._note(report, batch)
            self._note_end(planned.ends)
        except ScoringError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - it is raised again, in one line
            self._fail(build_query_error(f"batch {batch_id} was not written", error))
        logger.info(
            "batch=%d written=%s already_written=%d duration_ms=%.0f",
            report.batch_id,
            json.dumps(dict(report.written)),
            sum(report.already_written.values()),
            report.duration_s * 1000,
        )

    def _write(self, commit: CommitStrategy, batch: Batch) -> WriteReport:
        """Write a batch, which is read without Spark's source if that cannot."""
        is_repeated = batch.is_repeated
        if self._rereads_left:
            self._rereads_left -= 1
        else:
            try:
                return commit.write(batch)
            except SourceTimestampError as error:
                if self._making.remake is None:
                    raise
                is_repeated, self._rereads_left = True, _REREAD_BATCHES
                logger.warning(
                    "%s; this batch and the next %d are read without Spark's Kafka source (%s)",
                    *(error.message, _REREAD_BATCHES, error.hint),
                )
        remake = self._making.remake
        assert remake is not None
        cluster, topic = self._settings.cluster, self._settings.source_topic
        records = read_ranges(self._spark, cluster, topic, batch.starts, batch.ends)
        frame = remake(records)
        frame = self._select_columns(frame) if batch.map_in_arrow is None else frame
        return commit.write(
            replace(batch, frame=frame, is_repeated=is_repeated, read_partitions=None)
        )

    def _forgive(self) -> None:
        assert self._commit is not None
        self._commit.forgive()

    def _select_columns(self, messages: DataFrame) -> DataFrame:
        """Select and cast the columns that are collected; missing headers become null."""
        present = messages.columns
        names: tuple[str, ...] = COLLECTED_COLUMNS
        if self._on_report is not None:
            names += tuple(self._counted_columns)
        return messages.select(
            *(
                (F.col(name) if name in present else F.lit(None)).cast(ALL_TYPES[name]).alias(name)
                for name in names
            )
        )

    def _limit(self, batch: Batch) -> Batch:
        """Leave out of a batch what lies beyond the end of the run."""
        end = self.plan.end
        if end is None:
            return batch
        return replace(
            batch,
            starts=end.clip(batch.starts),
            ends=end.clip(batch.ends),
            read_partitions=len(batch.busy_partitions),
        )

    def _note_end(self, ends: Offsets) -> None:
        """Note that the end of the run is reached, if it is."""
        plan = self.plan
        if plan.end is not None and plan.end.is_reached(ends):
            self._plan = replace(plan, is_done=True)

    def find_report(self, batch_id: int) -> WriteReport | None:
        """Return the report of a batch; None if it was not written, or is not among the last."""
        return self._reports.get(batch_id)

    def _note(self, report: WriteReport, batch: Batch) -> None:
        self._reports[report.batch_id] = report
        if self._brake is not None:
            self._brake.note(batch.starts, batch.ends, report.answered)
        if self._on_report is not None and self._counted is not None:
            for partition, end in batch.ends.items():
                self._counted[partition] = max(end, self._counted.get(partition, 0))
            self._on_report(report)
        if len(self._reports) > _KEPT_REPORTS:
            del self._reports[min(self._reports)]

    def _find_first_offsets(self) -> Offsets:
        """Return the offsets at which the query's first batch begins."""
        return self.plan.starting_offsets or self._checkpoint.read_start_offsets(0)

    def _fail(self, error: ScoringError) -> NoReturn:
        """Keep the error, and raise a copy of one line for Spark.

        Spark searches the text of an error with a pattern that overflows the stack if the text is
        long. py4j's trace is that long when a stop interrupts a batch.
        """
        self.failure = error
        if isinstance(error, BrakeError):
            self._settings.on_step("braked")
        raise type(error)(error.message, hint=error.hint) from None

    def judge(self, failure: ScoringError) -> ScoringError:
        """Find the error that a failure of the query stands for.

        Args:
            failure: the error that ended the query.

        Returns:
            An error that says so, if the topic was deleted or recreated. An error that may pass, if
            Spark misses records: the next start sets the checkpoint aside and goes on from the
            group's offsets, or says what was lost. Otherwise ``failure`` itself.
        """
        if self._watch is None or not isinstance(failure, SinkError):
            return failure
        if isinstance(failure, SinkFencedError | SinkRetryExhaustedError | SinkTopicChangedError):
            return failure
        try:
            self._watch.confirm(_JUDGE_TIMEOUT_S)
        except SinkTopicChangedError as error:
            return error
        except KafkaException as error:
            logger.info("topic id not read error=%s", error)
        if isinstance(failure, SourceRecordsGoneError):
            self._distrust = failure.message
            passing = QueryFailedError(failure.message, hint=failure.hint)
            passing.__cause__ = failure
            return passing
        return failure

    def give_up(self) -> None:
        """Let a start or a batch under way fail instead of trying again; from any thread.

        All of the batch is visible, or nothing: the next start finds out. A start that was given up
        may go on for a while on its own thread, so the process has to end then.
        """
        self._is_start_given_up.set()
        if self._lease is not None:
            self._lease.give_up()

    def close(self) -> None:
        """Tell the next run that this one has ended, and close the Kafka clients."""
        if self._lease is not None and not self._is_abandoned:
            self._lease.release()


def _lies_before(end: RangeEnd) -> Column:
    """Build the condition that a record lies before the end of the run."""
    ends = F.create_map(*(F.lit(number) for pair in end.offsets.items() for number in pair))
    return F.col("source_offset") < F.element_at(ends, F.col("source_partition"))


def _check_columns(frame: DataFrame, required: Sequence[str]) -> None:
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise PlanRefusedError(
            f"the frame has no column {', '.join(missing)}; found {', '.join(frame.columns)}",
            hint="a message needs topic, key, value, and the source_partition and source_offset"
            " of the record it answers; what messages are made of needs the last two",
        )
