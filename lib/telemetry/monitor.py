"""Puts together what is told to the operator of one process of the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lib.errors import ScoringError, SinkFencedError
from lib.exactly_once.transaction.writer import WriteReport
from lib.messages.tally import Tally
from lib.score.base import ModelBackend
from lib.telemetry.brake import BrakeState
from lib.telemetry.figures import Figures, Model, Refusal
from lib.telemetry.progress import BatchProgress
from lib.telemetry.state import JobState, State


class Monitor:
    """The state and the figures of the process, which the job fills and pages read.

    Args:
        is_on: whether anybody reads them. Otherwise nothing is counted that costs time.

    Attributes:
        job: the state and the events.
        figures: the numbers.
    """

    def __init__(self, *, is_on: bool = False) -> None:
        self.is_on = is_on
        self.job = JobState()
        self.figures = Figures()
        # Whether the last batch was written without what shadows answer.
        self._is_spare = False

    def name_topics(
        self, output_topic: str, dead_letter_topic: str, shadow_topic: str = ""
    ) -> None:
        """Name the topics, by which the kinds of messages are told apart."""
        with self.figures.changing():
            self.figures.output_topic = output_topic
            self.figures.dead_letter_topic = dead_letter_topic
            self.figures.shadow_topic = shadow_topic

    def note_rivals(self, challenger: str, share: float, shadows: Sequence[str]) -> None:
        """Note the models that score beside the one in force.

        Args:
            challenger: the name of the challenger; empty for none.
            share: the share of the records that it answers.
            shadows: the names of the shadows.
        """
        with self.figures.changing():
            self.figures.challenger, self.figures.challenger_share = challenger, share
            self.figures.shadows = tuple(shadows)
        if challenger:
            self.job.add("challenger", f"{challenger} answers {share:g} of the records")
        for shadow in shadows:
            self.job.add("shadow", f"{shadow} scores beside the champion")

    def note_report(self, report: WriteReport) -> None:
        """Count the messages of a batch that was committed."""
        if report.is_spare:
            with self.figures.changing():
                self.figures.spare_batches += 1
        if report.is_spare != self._is_spare:
            self._is_spare = report.is_spare
            what = "are left out, because a batch with them failed" if self._is_spare else "go on"
            self.job.add("shadow", f"shadows {what}, from batch {report.batch_id} on")
        replayed = sum(report.already_written.values())
        self.figures.add_tally(report.tally, replayed)
        if replayed:
            self.job.add("replay", f"{replayed} messages had been written before, and are left out")

    def note_event(
        self, event: Mapping[str, Any], find_tally: Callable[[Mapping[str, Any]], Tally | None]
    ) -> None:
        """Note how far the query is, by one of Spark's events about a batch or an idle trigger.

        Args:
            event: the event as a JSON object.
            find_tally: a function that returns the counts of its batch, if no sink has counted it.
        """
        if self.is_on:
            self.figures.note_positions(event)
            self.figures.add_tally(find_tally(event), replayed=0)

    def note_batch(self, event: Mapping[str, Any], batch: BatchProgress) -> None:
        """Note a batch with records that Spark has finished."""
        if self.is_on:
            self.figures.add_batch(event, batch)

    def load(self, load: Callable[[], ModelBackend]) -> ModelBackend:
        """Load the model that scores from now on, and note it or why it is refused.

        Raises:
            ScoringError: the model cannot be used.
        """
        try:
            scorer = load()
        except ScoringError as error:
            self.note_refusal("a model", error)
            raise
        self.note_model(scorer)
        return scorer

    def note_refusal(self, name: str, error: ScoringError) -> None:
        """Note that a model cannot be used, and why."""
        with self.figures.changing():
            self.figures.model_loads["refused"] += 1
            self.figures.refusal = Refusal(name, error.message, time.time())
        self.job.add("model", f"{name} is refused: {error.message}")

    def note_readiness(self) -> None:
        """Note that the champion can be used, and scores or will score the next batch."""
        with self.figures.changing():
            self.figures.refusal = None

    def note_model(self, scorer: ModelBackend) -> None:
        """Note which model scores from now on."""
        is_fallback = scorer.using_fallback
        with self.figures.changing():
            self.figures.model = Model(
                scorer.scored_by,
                scorer.scored_by.rpartition("/")[2],
                scorer.threshold,
                is_fallback,
                time.time(),
            )
            self.figures.model_loads["fallback" if is_fallback else "loaded"] += 1
        self.job.add("model", f"{scorer.scored_by} scores{', as a fallback' * is_fallback}")

    def note_brake(self, state: BrakeState) -> None:
        """Note what the brake has seen; an event marks each time that it engages or lets go."""
        with self.figures.changing():
            before, self.figures.brake = self.figures.brake, state
        if state.is_engaged != (before is not None and before.is_engaged):
            what = "too many" if state.is_engaged else "few enough"
            self.job.add("brake", f"{what} of the last {state.over:,} records are dead letters")

    def note_failure(self, failure: ScoringError) -> None:
        """Note a failure that ends the query, whether or not it is started again."""
        if isinstance(failure, SinkFencedError):
            with self.figures.changing():
                self.figures.fenced += 1
            self.job.add("fenced", failure.message)
        else:
            self.job.add("failure", failure.message)

    def note_restart(self, failure: ScoringError) -> None:
        """Note that the query is started again after a failure."""
        with self.figures.changing():
            self.figures.restarts[type(failure).__name__] += 1
        self.job.enter(State.RESTARTING, failure.message)
