"""Starts the streaming query: puts source, plan and sink together."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from confluent_kafka import KafkaException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from lib.errors import KafkaSetupError, ModelChangedError, ScoringError
from lib.exactly_once.checkpoint.makers import MakerLog
from lib.exactly_once.checkpoint.reader import CheckpointReader
from lib.exactly_once.sink import ExactlyOnceSettings, ExactlyOnceSink
from lib.exactly_once.transaction.settings import OnStep, ignore_step
from lib.exactly_once.transaction.writer import WriteReport
from lib.kafka.admin import find_offsets
from lib.kafka.connection.connect import connect
from lib.kafka.partitions import parse_partitions, parse_position
from lib.messages.columns import MESSAGE_SCHEMA
from lib.messages.dead_letter import DeadLetterFormat, OutputSettings
from lib.record.contract import Contract
from lib.score.base import ModelBackend
from lib.settings.jobs.score_stream import AVAILABLE_NOW, Commit, ScoreStreamSettings
from lib.settings.real_time import parse_interval_ms
from lib.source.kafka import KafkaSourceSettings
from lib.spark.full_disk import list_local_folders, name_full_places
from lib.stream.at_least_once import AtLeastOnceQuery
from lib.stream.brake.after_spark import SparkBrake
from lib.stream.brake.start import build_brake, remember
from lib.stream.drift.watch import DriftWatch
from lib.stream.model.loading import ModelLoader
from lib.stream.model.serving import Serving
from lib.stream.model.switch import ModelSwitch
from lib.stream.model.watch import ChampionWatch
from lib.stream.route import Route
from lib.stream.running_query import RunningQuery
from lib.stream.trial.models import NO_TRIAL, Trial
from lib.stream.watch.guard import QueryGuard
from lib.stream.watch.held_back import HeldBack
from lib.stream.watch.lag import LagWatch
from lib.stream.watch.life_signs import LifeSigns
from lib.stream.watch.outage import Brokers, OutageWatch
from lib.stream.watch.rejections import RejectionWatch, build_reader
from lib.stream.watch.restarts import RestartPolicy
from lib.stream.watch.stop_signal import StopSignal
from lib.stream.watch.use import UseWatch
from lib.telemetry.monitor import Monitor
from lib.telemetry.progress import MessageCounts

logger = logging.getLogger(__name__)

# The trigger of a query that is to run one batch only.
_NO_SECOND_BATCH = "1 hour"
_WHOLE_STAGE = "spark.sql.codegen.wholeStage"


def start_stream(
    spark: SparkSession,
    settings: ScoreStreamSettings,
    scorer: ModelBackend,
    contract: Contract,
    route: Route,
    on_step: OnStep = ignore_step,
    stop: StopSignal | None = None,
    monitor: Monitor | None = None,
    trial: Trial = NO_TRIAL,
) -> RunningQuery:
    """Start scoring.

    Args:
        spark: the Spark session.
        settings: the settings of the job.
        scorer: a loaded model backend.
        contract: the contract of the records.
        route: the route, which says who decodes, who scores and who commits.
        on_step: a function that is called at each step; see ``TransactionSettings``.
        stop: the request to stop, which ends the start too.
        monitor: the state and the figures, which are kept up to date; None for nobody.
        trial: the other models that score the same records.

    Raises:
        ScoringError: the query cannot start, or must not; or a stop was requested meanwhile.
    """
    monitor = monitor or Monitor()
    shadow_topic = settings.shadow_topic if trial.shadows else ""
    monitor.name_topics(settings.output_topic, settings.dead_letter_topic, shadow_topic)
    monitor.note_rivals(*trial.describe())
    output = OutputSettings(
        output_topic=settings.output_topic,
        dead_letter_topic=settings.dead_letter_topic,
        consumer_group=settings.query_name,
        dead_letter_format=DeadLetterFormat(settings.dead_letter_format),
        is_counted=monitor.is_on,
        carried_headers=settings.carried_headers,
        shadow_topic=shadow_topic,
    )
    drift = DriftWatch.of(spark, settings, monitor)

    def note_model(serving: Serving) -> None:
        monitor.note_model(serving.scorer)
        if drift is not None:
            drift.expect(serving.output.binning)

    loader = ModelLoader(spark, settings, contract, output, trial)
    switch = ModelSwitch(
        MakerLog(spark, settings.checkpoint),
        Serving.build(spark, settings, scorer, contract, route, output, trial),
        loader.load,
        note_model,
        asks=route.commit != "spark",
    )
    output = switch.serving.output
    if drift is not None:
        drift.expect(output.binning)

    def refuse(name: str, error: ScoringError) -> None:
        going_on = switch.serving.key
        logger.warning("%s is refused, %s goes on scoring: %s", name, going_on, error)
        monitor.note_refusal(name, error)

    def offer(serving: Serving) -> None:
        monitor.note_readiness()
        switch.offer(serving)

    watch = ChampionWatch.of(settings, switch.serving, loader.load, offer, refuse)

    def start(writer: DataStreamWriter, *, is_real_time: bool = False) -> StreamingQuery:
        with _planned_for(spark, switch.serving.route):
            return _with_trigger(writer, settings, is_real_time=is_real_time).start()

    def start_exactly_once() -> StreamingQuery:
        is_change = isinstance(sink.failure, ModelChangedError)
        records = (sink.go_on() if is_change else sink.start()).read_stream()
        if drift is not None:
            drift.resume(sink.positions)
        # The model may be the reason why one run after the other dies in a batch.
        making = switch.begin(is_free=sink.suspect_batch is not None).making
        assert making.remake is not None, "a job can always make its messages again"
        return start(
            sink.write_stream(
                making.remake(records),
                making.map_in_arrow,
                making.remake,
                making.check,
                switch.choose,
            )
        )

    def start_at_least_once() -> StreamingQuery:
        switch.begin()
        writer = query.build_writer()
        if switch.is_repeating:
            # The next batch would come after this time, which another version has to score.
            return writer.trigger(processingTime=_NO_SECOND_BATCH).start()
        return start(writer, is_real_time=query.is_real_time)

    def note_report(report: WriteReport) -> None:
        monitor.note_report(report)
        if drift is not None:
            drift.note(report.tally, sink.positions)

    def count_written(batch_id: int) -> MessageCounts | None:
        report = sink.find_report(batch_id)
        if report is None:
            return None
        answered = report.answered
        return MessageCounts(
            answered.get(output.output_topic, 0), answered.get(output.dead_letter_topic, 0)
        )

    restarts, guard = RestartPolicy(settings.restart_limit), build_guard(spark, settings)
    chosen_partitions = parse_partitions(settings.partitions)
    lag = LagWatch(settings.cluster, settings.input_topic, monitor.figures)
    held_back = HeldBack(
        *(settings.cluster, settings.input_topic, chosen_partitions),
        on_ends=lag.note if monitor.is_on else None,
    )
    reader = build_reader(settings.cluster, settings.input_topic)
    rejections = RejectionWatch(contract, reader)
    brake = build_brake(spark, settings, contract, monitor)
    places = (settings.checkpoint, *list_local_folders(spark))
    if route.commit == "spark":
        source = _source(settings, find_start(spark, settings))
        query = AtLeastOnceQuery(
            *(spark, settings, source, output),
            lambda records: switch.serving.plan(records),
            counts_failures=lambda: not switch.serving.scores_in_workers,
        )
        stream = RunningQuery(
            start_at_least_once,
            restarts,
            guard,
            count=query.count,
            held_back=held_back,
            judge=lambda failure: name_full_places(query.judge(failure), places),
            rejections=rejections,
            is_detour_over=lambda: query.is_detour_over,
            switch=switch,
            watch=watch,
            monitor=monitor,
            tally=query.tally if drift is None else drift.observe(query.tally),
            drift=drift,
            brake=None if brake is None else SparkBrake(brake),
        )
    else:
        chosen = replace(build_sink_settings(settings, route.commit), on_step=on_step)
        counted = [name for name in output.columns if name not in MESSAGE_SCHEMA.names]
        on_report = note_report if monitor.is_on else None
        sink = ExactlyOnceSink(spark, chosen, on_report, counted, brake)

        def judge(failure: ScoringError) -> ScoringError:
            found = remember(brake, spark, settings.checkpoint, sink.judge(failure))
            return name_full_places(found, places)

        stream = RunningQuery(
            *(start_exactly_once, restarts, guard, sink),
            *(count_written, held_back),
            judge=judge,
            rejections=rejections,
            switch=switch,
            watch=watch,
            monitor=monitor,
            drift=drift,
        )
    if monitor.is_on:
        stream.watch_use(
            UseWatch(spark, settings.cluster, stream.sink, guard.find_outage_s, monitor.figures)
        )
    try:
        stream.start(stop or StopSignal())
    except ScoringError as error:
        raise name_full_places(error, places) from error.__cause__
    return stream


def build_guard(spark: SparkSession, settings: ScoreStreamSettings) -> QueryGuard:
    """Build the guard of the query from the settings."""
    signs = LifeSigns(spark)
    topics = (settings.input_topic, *settings.output_topics.values())
    brokers = Brokers(settings.cluster, topics)
    # In real-time mode the settings say how long a batch is.
    planned_s = parse_interval_ms(settings.real_time_batch) / 1000 if settings.is_real_time else 0.0
    return QueryGuard(
        signs,
        OutageWatch(brokers.find_fault, lambda: signs.silence_s),
        batch_timeout_s=settings.batch_timeout + planned_s,
        outage_limit_s=settings.outage_limit,
    )


@contextmanager
def _planned_for(spark: SparkSession, route: Route) -> Iterator[None]:
    """Let a query start without Spark's whole-stage code if its plan only moves bytes.

    Generating code takes 15 ms of every batch, and does not make a plan to Python and back faster.
    A query keeps the settings of its start.
    """
    is_chosen = spark.sparkContext.getConf().contains(_WHOLE_STAGE)
    if is_chosen or route.score == "jvm":
        yield
        return
    before = str(spark.conf.get(_WHOLE_STAGE))
    spark.conf.set(_WHOLE_STAGE, "false")
    try:
        yield
    finally:
        spark.conf.set(_WHOLE_STAGE, before)


def find_start(spark: SparkSession, settings: ScoreStreamSettings) -> str | Mapping[int, int]:
    """Find where Spark starts without a checkpoint, in one of the forms that its source takes.

    Raises:
        SettingsError: the topic has no such position.
        KafkaSetupError: the brokers do not tell.
    """
    position = parse_position(settings.starting_offsets)
    if isinstance(position, str):
        return position
    checkpoint = CheckpointReader(spark, settings.checkpoint, settings.input_topic)
    if checkpoint.look() is not None:
        return "earliest"  # the checkpoint decides, and the position may be gone
    try:
        found = find_offsets(connect(settings.cluster), settings.input_topic, position)
    except KafkaException as error:
        raise KafkaSetupError(f"topic {settings.input_topic}: {error.args[0].str()}") from error
    chosen = parse_partitions(settings.partitions)
    return {it: at for it, at in found.items() if chosen is None or it in chosen}


def _source(settings: ScoreStreamSettings, start: str | Mapping[int, int]) -> KafkaSourceSettings:
    return KafkaSourceSettings(
        settings.cluster,
        settings.input_topic,
        start,
        # Spark refuses a bound in real-time mode, where a batch ends by the clock.
        None if settings.is_real_time else settings.max_offsets_per_trigger,
        parse_partitions(settings.partitions),
    )


def build_sink_settings(settings: ScoreStreamSettings, commit: Commit) -> ExactlyOnceSettings:
    """Build the settings of the exactly-once sink from those of the job."""
    return ExactlyOnceSettings(
        bootstrap_servers=settings.bootstrap_servers,
        query_name=settings.query_name,
        source_topic=settings.input_topic,
        kafka=settings.kafka,
        partitions=parse_partitions(settings.partitions),
        checkpoint=settings.checkpoint,
        commit=commit,
        starting_offsets=settings.starting_offsets,
        ending_offsets=settings.ending_offsets or None,
        max_offsets_per_trigger=settings.max_offsets_per_trigger,
        accept_offsets=settings.accept_offsets or None,
        transaction_timeout_s=settings.transaction_timeout,
        part_bytes=settings.part_bytes,
        lease_s=settings.lease,
        owner_timeout_s=settings.owner_timeout,
        keep_alive_s=settings.keep_alive,
    )


def _with_trigger(
    writer: DataStreamWriter, settings: ScoreStreamSettings, *, is_real_time: bool
) -> DataStreamWriter:
    if is_real_time:
        # Spark takes only this output mode there; without an aggregation all are the same.
        writer = writer.outputMode("update")
        # PySpark's stubs lack the parameter.
        triggered: DataStreamWriter = writer.trigger(realTime=settings.real_time_batch)  # type: ignore[call-overload]
        return triggered
    if settings.trigger == AVAILABLE_NOW:
        return writer.trigger(availableNow=True)
    return writer.trigger(processingTime=settings.trigger)
