"""Watches a streaming query while it runs, starts it again after failures, and stops it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql.streaming.query import StreamingQuery

from lib.bounded import StuckError, run_bounded
from lib.errors import (
    BatchTimeoutError,
    BrakeError,
    ModelChangedError,
    ModelError,
    QueryFailedError,
    QueryHungError,
    ScoringError,
    SinkFencedError,
    WorkerError,
)
from lib.exactly_once.sink import ExactlyOnceSink
from lib.messages.tally import Tally
from lib.spark.failed_query import build_query_error
from lib.spark.hung_workers import end_hung_workers
from lib.spark.session import silence
from lib.stream.brake.after_spark import SparkBrake
from lib.stream.drift.watch import DriftWatch
from lib.stream.model.switch import ModelSwitch
from lib.stream.model.watch import ChampionWatch
from lib.stream.new_progress import NewProgress
from lib.stream.watch.clock import ClockWatch
from lib.stream.watch.guard import QueryGuard
from lib.stream.watch.held_back import HeldBack
from lib.stream.watch.model_failures import ModelFailures
from lib.stream.watch.rejections import RejectionWatch
from lib.stream.watch.restarts import RestartPolicy
from lib.stream.watch.stop_signal import StopSignal
from lib.stream.watch.use import UseWatch
from lib.telemetry.console import ProgressView
from lib.telemetry.monitor import Monitor
from lib.telemetry.progress import BatchProgress, MessageCounts, Totals, find_observation
from lib.telemetry.state import State

logger = logging.getLogger(__name__)

_POLL_S = 0.2
# Each look for signs of life needs calls to the JVM.
_LOOK_S = 1.0
# A query ends at once when it is told to, unless Spark waits for something that never answers.
_END_S = 10.0


class RunningQuery:
    """A running query, started again when it fails for a reason that may pass.

    Args:
        start: a function that starts the query; called again after each failure.
        restarts: the number of restarts and their delays.
        guard: the guard, which tells when to give up the query, and which failures do not count.
        sink: the exactly-once sink, which knows why the query failed; None without it.
        count: a function that counts the messages of a batch, if Spark does not observe them.
        held_back: the count of records behind open transactions; None without it.
        judge: a function that finds the error that a failure of the query stands for.
        rejections: counts dead letters, to say why there are many; None for nobody.
        is_detour_over: a function that tells whether the query stands in for another one, whose
            time has come: the query is ended after its batch, and started again.
        switch: the versions of the model, whose failures are told; None for none.
        watch: the watch for another champion, for as long as the query is followed; None for none.
        monitor: the state and the figures, which are kept up to date; None for nobody.
        tally: a function that returns the counts of the batch of one of Spark's events, if no sink
            has counted it.
        drift: the counts of drift, which are kept for as long as the query is followed; None where
            nothing is counted.
        brake: the brake for batches that Spark's own sink has written; None for none.
    """

    query: StreamingQuery

    def __init__(
        self,
        start: Callable[[], StreamingQuery],
        restarts: RestartPolicy,
        guard: QueryGuard,
        sink: ExactlyOnceSink | None = None,
        count: Callable[[int], MessageCounts | None] = lambda _: None,
        held_back: HeldBack | None = None,
        judge: Callable[[ScoringError], ScoringError] = lambda failure: failure,
        rejections: RejectionWatch | None = None,
        is_detour_over: Callable[[], bool] = lambda: False,
        switch: ModelSwitch | None = None,
        watch: ChampionWatch | None = None,
        monitor: Monitor | None = None,
        tally: Callable[[Mapping[str, Any]], Tally | None] = lambda _: None,
        drift: DriftWatch | None = None,
        brake: SparkBrake | None = None,
    ) -> None:
        self._start = start
        self._restarts = restarts
        self._guard = guard
        self._count = count
        self._held_back = held_back
        self._judge = judge
        self._rejections = rejections
        self._is_detour_over = is_detour_over
        self._switch = switch
        self._watch_champion = watch or nullcontext()
        self._monitor = monitor or Monitor()
        self._tally = tally
        self._drift = drift
        self._brake = brake
        self._use: UseWatch | None = None
        self._clock = ClockWatch()
        self._totals = Totals()
        self._seen = -1
        self.sink = sink

    def start(self, stop: StopSignal) -> None:
        """Start the query once.

        Raises:
            ScoringError: the query does not start; the error tells whether that may pass.
        """
        give_up = None if self.sink is None else self.sink.give_up
        taking_over = "Kafka, to take the query over"
        self._monitor.job.enter(State.TAKING_OVER, f"waits for {taking_over}")
        try:
            # From here on batches run, although the job may still see to other things of its start.
            with stop.working_on(taking_over, give_up, then="the batch under way"):
                self.query = self._start()
        except (PySparkException, Py4JJavaError) as error:
            raise build_query_error("the query did not start", error) from error
        self._clock.begin()
        self._guard.signs.note()
        self._new_progress = NewProgress(self.query)
        self._monitor.job.enter(State.RUNNING)
        if self.sink is not None:
            self._monitor.figures.note_answered(self.sink.positions)
        if self.sink is not None and self.sink.plan.set_aside is not None:
            self._seen = -1  # a new checkpoint counts batches from 0 again

    def watch_use(self, use: UseWatch) -> None:
        """Measure what the job needs, for as long as the query is followed."""
        self._use = use

    def follow(self, view: ProgressView, stop: StopSignal) -> Totals:
        """Show progress until the query ends by itself or a stop is requested.

        Raises:
            QueryHungError: the query cannot be ended.
            ScoringError: the query failed for good or too often; this is the reason.
        """
        failures = 0
        try:
            with (
                self._guard.outage,
                self._held_back or nullcontext(),
                self._use or nullcontext(),
                self._watch_champion,
                self._drift or nullcontext(),
            ):
                while True:
                    failure = self._watch(view, stop)
                    if failure is not None:
                        self._monitor.note_failure(failure)
                        failures = 1 if self._has_progress() else failures + 1
                        failures = self._restart(failure, failures, stop)
                    elif stop.is_requested or not self._begins_anew:
                        break
                    else:
                        failures = self._begin_anew(stop)
        except (ModelError, WorkerError, QueryFailedError, BrakeError):
            # Another version may finish the batch that this one cannot.
            if self._switch is not None:
                self._switch.release()
            raise
        finally:
            stop.end_work()
            if self.sink is not None:
                self.sink.close()
            if self._failures_of_model is not None:
                self._failures_of_model.tell(is_last=True)
            view.close(self._totals)
        return self._totals

    def _watch(self, view: ProgressView, stop: StopSignal) -> ScoringError | None:
        """Follow the query until it ends; return why it failed, or None."""
        overdue: ScoringError | None = None
        looked_s = time.monotonic()
        while self._is_going_on() and overdue is None and not stop.wait(_POLL_S):
            self._show_new(view)
            overdue = self._find_verdict()
            if overdue is None and time.monotonic() - looked_s >= _LOOK_S:
                overdue, looked_s = self._guard.judge(self.query), time.monotonic()
                self._note_state()
        if stop.is_requested:
            self._monitor.job.enter(State.STOPPING, "a signal asked for it")
            silence(self._guard.signs.spark)
        if self.query.isActive:
            if overdue is not None or not self._finish_batch(stop):
                self._give_up()
            self._end(overdue)
        self._show_new(view)
        # A batch that a stop interrupts has not been written; the next start repeats it.
        is_over = stop.is_requested or self._is_done
        failure = None if is_over else overdue or self._find_verdict() or self._find_failure()
        return failure and self._judge(failure)

    def _find_verdict(self) -> ScoringError | None:
        """Find the error that was found in the counts of batches that Spark's sink has written."""
        found = (self._failures_of_model, self._brake)
        return next((it.failure for it in found if it is not None and it.failure is not None), None)

    def _note_state(self) -> None:
        """Note whether the query gets on, for those who watch the job."""
        job, fault = self._monitor.job, self._guard.find_fault()
        job.beat()
        job.enter(State.RUNNING if fault is None else State.STUCK, fault or "")

    def _is_going_on(self) -> bool:
        """Tell whether the query runs, has work, and the sink has not noticed a successor."""
        replaced = self.sink is not None and isinstance(self.sink.failure, SinkFencedError)
        is_over = self._is_done or self._begins_anew
        return self.query.isActive and not replaced and not is_over

    @property
    def _begins_anew(self) -> bool:
        """Whether the query is to be ended and started again although it has not failed."""
        return (
            self._is_detour_over()
            or self._clock.find_step_back() is not None
            or (self._switch is not None and self._switch.has_to_end(self._latest_batch))
        )

    @property
    def _failures_of_model(self) -> ModelFailures | None:
        """The failures of the version that scores now."""
        return None if self._switch is None else self._switch.serving.failures

    @property
    def _is_done(self) -> bool:
        """Whether the run has an end, and has reached it."""
        return self.sink is not None and self.sink.is_done

    def _begin_anew(self, stop: StopSignal) -> int:
        """Start the query again without a failure; return the number of failures in a row."""
        step_s = self._clock.find_step_back()
        if step_s is not None:
            logger.warning(
                "the clock of this machine was set back by %.0f s: the query starts again, because"
                " Spark's trigger would wait for as long",
                step_s,
            )
        try:
            self.start(stop)
        except ScoringError as error:
            return self._restart(self._judge(error), 1, stop)
        return 0

    def _restart(self, failure: ScoringError, failures: int, stop: StopSignal) -> int:
        """Wait and start the query again, until it runs.

        Returns:
            The number of failures in a row, without those of an outage.

        Raises:
            ScoringError: the failure, if it does not pass or came too often.
        """
        while not stop.is_requested:
            delay_s = self._restarts.find_delay_s(failures) if failure.is_transient else None
            if self._guard.is_excused(failure):
                failures -= 1
                delay_s = self._restarts.first_delay_s
                logger.warning("the query failed, for want of brokers: %s", failure.message)
                self._monitor.note_restart(failure)
                self._guard.await_brokers(stop)
            elif delay_s is None:
                raise failure
            else:
                self._monitor.note_restart(failure)
                logger.warning(
                    "the query failed, starting it again in %.0f s (%d of %d): %s",
                    delay_s,
                    failures,
                    self._restarts.limit,
                    failure.message,
                    exc_info=failure if logger.isEnabledFor(logging.DEBUG) else None,
                )
            if stop.wait(delay_s):
                break
            try:
                self.start(stop)
                break
            except ScoringError as error:
                failure, failures = self._judge(error), failures + 1
                self._monitor.note_failure(failure)
        return failures

    def _finish_batch(self, stop: StopSignal) -> bool:
        """Wait until no batch is under way, and tell whether that is so."""
        running, deadline_s = self._latest_batch(), time.monotonic() + stop.patience_left_s
        # A batch that waits for brokers is not waited for: it ends when they are back.
        while self.query.isActive and time.monotonic() < deadline_s and not self._guard.has_outage:
            if not self.query.status["isTriggerActive"] or self._latest_batch() != running:
                return True
            time.sleep(_POLL_S / 10)
        return not self.query.isActive

    def _give_up(self) -> None:
        if self.sink is not None:
            self.sink.give_up()

    def _end(self, overdue: ScoringError | None) -> None:
        """Let Spark end the query and its tasks.

        Raises:
            QueryHungError: the query does not end.
        """
        try:
            run_bounded(self.query.stop, timeout_s=_END_S, what="ending the query")
        except StuckError as error:
            reason = "" if overdue is None else f"; {overdue.message}"
            raise QueryHungError(f"{error}: {self._guard.signs.describe_wait()}{reason}") from error
        if isinstance(overdue, BatchTimeoutError):
            end_hung_workers(self._guard.signs.spark)

    def _latest_batch(self) -> int:
        progress = self.query.lastProgress
        return -1 if progress is None else progress.batchId

    def _has_progress(self) -> bool:
        return self.query.lastProgress is not None

    def _show_new(self, view: ProgressView) -> None:
        if self._failures_of_model is not None:
            self._failures_of_model.tell()
        for event in self._new_progress.take():
            self._guard.signs.note()
            held_back = None if self._held_back is None else self._held_back.records
            self._monitor.note_event(event, self._tally)
            if self._failures_of_model is not None:
                self._failures_of_model.note(find_observation(event))
            counts = self._count(int(event["batchId"]))
            batch = BatchProgress.from_event(event, counts, held_back)
            if batch.batch_id > self._seen and batch.records:
                self._totals, self._seen = self._totals.add(batch), batch.batch_id
                view.show(batch, self._totals)
                self._monitor.note_batch(event, batch)
                if self._brake is not None:
                    self._brake.note(event, batch)
                if self._rejections is not None:
                    self._rejections.note(event, batch)

    def _find_failure(self) -> ScoringError | None:
        if self.sink is not None and isinstance(self.sink.failure, ModelChangedError):
            return None
        if self.sink is not None and self.sink.failure is not None:
            return self.sink.failure
        try:
            failure = self.query.exception()
        except (
            StreamingQueryException
        ) as error:  # some versions of Spark raise the error that others return
            failure = error
        if failure is None:
            return None
        found = build_query_error("the query failed", failure)
        found.__cause__ = failure
        return found
