"""Keeps the figures of one process of the job, from which metrics and the page are made."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lib.drift.judgement import Drift
from lib.messages.tally import Relation, Tally, read_prediction, read_shadow
from lib.telemetry.brake import BrakeState
from lib.telemetry.outcomes import OutcomeReport
from lib.telemetry.progress import BatchProgress, read_offsets

#: The upper bounds of the classes of a batch's durations, in seconds.
BATCH_BOUNDS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
# So many positions of dead letters are kept for each rule and field.
_KEPT_PLACES = 5


@dataclass(frozen=True)
class Program:
    """The versions that run.

    Attributes:
        version, commit, spark, python: the versions of the program, its clone, Spark and Python.
    """

    version: str = ""
    commit: str = ""
    spark: str = ""
    python: str = ""


@dataclass(frozen=True)
class Model:
    """The model in force.

    Attributes:
        scored_by: the model, its version and its engine, as predictions carry it.
        engine: the backend that scores.
        threshold: the smallest probability that is predicted as the positive label.
        is_fallback: whether it stands in for a model that could not be loaded.
        since_s: the time in seconds since 1970 from which on it scores.
    """

    scored_by: str
    engine: str
    threshold: float
    is_fallback: bool
    since_s: float


@dataclass(frozen=True)
class Refusal:
    """A version that was to score, and cannot.

    Attributes:
        model: its name.
        reason: one sentence that says why.
        at_s: the time in seconds since 1970.
    """

    model: str
    reason: str
    at_s: float


@dataclass(frozen=True)
class PartitionLag:
    """The rest of one partition of the input.

    Attributes:
        answered: the first offset without an answer; None if it is not known.
        stable: the last stable offset, up to which a committed reader reads.
        end: the high watermark.
        oldest_s: the timestamp of the first record without an answer, in seconds since 1970; None
            if there is none, or if it is not known.
    """

    answered: int | None
    stable: int
    end: int
    oldest_s: float | None = None

    @property
    def records(self) -> int | None:
        """The number of offsets without an answer, those behind an open transaction included."""
        return None if self.answered is None else max(0, self.end - self.answered)

    def find_age_s(self, now_s: float) -> float | None:
        """Return how long the first record without an answer has waited; 0 if there is none."""
        if self.records == 0:
            return 0.0
        return None if self.oldest_s is None else max(0.0, now_s - self.oldest_s)


@dataclass(frozen=True)
class Rejection:
    """The times and places of the dead letters of one rule and field.

    Attributes:
        first_s, last_s: the times of the first and the last commit, in seconds since 1970.
        newest: (partition, offset) of records of the newest batches, the newest first.
    """

    first_s: float
    last_s: float
    newest: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class ProcessUse:
    """The memory and processor time of a group of processes.

    Attributes:
        memory_bytes: the resident memory.
        cpu_s: the processor time so far, with that of processes that have ended.
        count: the number of processes.
    """

    memory_bytes: int
    cpu_s: float
    count: int


@dataclass(frozen=True)
class Heap:
    """The JVM's heap in bytes."""

    used_bytes: int
    max_bytes: int


@dataclass(frozen=True)
class DriftFigures:
    """The drift of the newest window that was judged, and the size of the open one.

    Attributes:
        model_version: the model and the backend that answered; empty if no window was judged.
        ended_s: the time of the last record in that window, in seconds since 1970.
        records: the number of its records that were counted.
        found: the drift of each feature and of the score, the worst first.
        open_since_s: the time of the first record in the open window; None if there is none.
        open_records: the number of its records so far.
    """

    model_version: str = ""
    ended_s: float = 0.0
    records: int = 0
    found: tuple[Drift, ...] = ()
    open_since_s: float | None = None
    open_records: int = 0


@dataclass
class Figures:
    """All figures of one process of the job.

    They begin with the process. Use :meth:`reading` or :meth:`changing` where several belong
    together; the methods do so.

    Attributes:
        output_topic, dead_letter_topic: the topics, by which messages are told apart.
        started_s: the time of the start in seconds since 1970.
        program: the versions.
        model: the model in force; None while none is loaded.
        challenger: the model that answers a share of the records; empty for none.
        challenger_share: the share.
        shadows: the models that score the same records beside it.
        tally: the counts of the messages that this process has committed.
        rejections: outcome of dead letters → when and where they came about.
        shadow_topic: the topic of what shadows answer; empty without shadows.
        replayed: the number of messages that an earlier run or attempt had written.
        spare_batches: the number of batches that were written without what shadows answer, because
            a batch with it had failed.
        batches: the number of batches with records.
        batch_durations: the durations in the classes of :data:`BATCH_BOUNDS_S`.
        batch_duration_sum_s: the sum of all durations.
        phases_s: part of a batch, in Spark's words → seconds in all batches.
        last_batch: the newest batch with records.
        committed_s: the time of the last commit of messages in seconds since 1970; None for none.
        restarts: cause → number of restarts of the query in this process.
        fenced: the number of times that another run has taken the query over.
        refusal: the champion, if it was refused and another version scores; None if it was not.
        model_loads: result (``loaded``, ``fallback``, ``refused``) → number.
        client_errors: name of an error of Kafka's clients → number of failed attempts.
        outage_s: the seconds for which brokers have been away; 0 if they are not.
        lag: partition → the rest of it.
        processes: ``driver``, ``jvm`` and ``workers`` → their memory and processor time.
        heap: the JVM's heap; None if it is not known.
        offsets_expire_s: the time in seconds since 1970 at which brokers may forget the group's
            offsets if nothing commits them; None if they are not retained for the group.
        drift: the drift from the training data; None where it is not counted.
        brake: the state of the brake; None if there is none, or before its first batch.
        outcomes: the newest report of outcomes; None if there is none, or nobody asks for it.
    """

    output_topic: str = ""
    dead_letter_topic: str = ""
    shadow_topic: str = ""
    started_s: float = field(default_factory=time.time)
    program: Program = field(default_factory=Program)
    model: Model | None = None
    challenger: str = ""
    challenger_share: float = 0.0
    shadows: tuple[str, ...] = ()
    tally: Tally = field(default_factory=Tally)
    rejections: dict[str, Rejection] = field(default_factory=dict)
    replayed: int = 0
    spare_batches: int = 0
    batches: int = 0
    batch_durations: list[int] = field(default_factory=lambda: [0] * (len(BATCH_BOUNDS_S) + 1))
    batch_duration_sum_s: float = 0.0
    phases_s: Counter[str] = field(default_factory=Counter)
    last_batch: BatchProgress | None = None
    committed_s: float | None = None
    restarts: Counter[str] = field(default_factory=Counter)
    fenced: int = 0
    refusal: Refusal | None = None
    model_loads: Counter[str] = field(default_factory=Counter)
    client_errors: Counter[str] = field(default_factory=Counter)
    outage_s: float = 0.0
    lag: dict[int, PartitionLag] = field(default_factory=dict)
    processes: dict[str, ProcessUse] = field(default_factory=dict)
    heap: Heap | None = None
    offsets_expire_s: float | None = None
    drift: DriftFigures | None = None
    brake: BrakeState | None = None
    outcomes: OutcomeReport | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep all figures as they are within a block."""
        with self._lock:
            yield

    changing = reading

    def add_tally(self, tally: Tally | None, replayed: int) -> None:
        """Add the messages of a batch that was committed.

        Args:
            tally: the counts of what this process has written; None for nothing.
            replayed: the number of messages that had been written before.
        """
        with self.changing():
            self.replayed += replayed
            if tally is not None:
                self.tally = self.tally.add(tally)
                self.committed_s = time.time()
                self._note_rejections(tally, self.committed_s)

    def _note_rejections(self, tally: Tally, now_s: float) -> None:
        places = tally.newest.get(self.dead_letter_topic, {})
        for outcome in tally.outcomes.get(self.dead_letter_topic, {}):
            known = self.rejections.get(outcome, Rejection(now_s, now_s))
            place = places.get(outcome)
            newest = known.newest if place is None else (place, *known.newest)[:_KEPT_PLACES]
            self.rejections[outcome] = Rejection(known.first_s, now_s, newest)

    def add_batch(self, event: Mapping[str, Any], batch: BatchProgress) -> None:
        """Add a batch with records that Spark has finished.

        Args:
            event: Spark's event as a JSON object.
            batch: the counts of the batch.
        """
        durations = {name: int(ms) / 1_000 for name, ms in (event.get("durationMs") or {}).items()}
        whole_s = durations.pop("triggerExecution", batch.duration_ms / 1_000)
        with self.changing():
            self.batches += 1
            self.last_batch = batch
            self.batch_duration_sum_s += whole_s
            bounds = sum(whole_s > bound for bound in BATCH_BOUNDS_S)
            self.batch_durations[bounds] += 1
            self.phases_s.update(durations)

    def note_positions(self, event: Mapping[str, Any]) -> None:
        """Note how far an event of Spark says that the partitions are answered."""
        for source in event.get("sources") or []:
            for partitions in (read_offsets(source.get("endOffset")) or {}).values():
                self.note_answered({int(p): int(at) for p, at in partitions.items()})

    def note_answered(self, positions: Mapping[int, int | None]) -> None:
        """Note partition → the first offset without an answer."""
        with self.changing():
            for partition, at in positions.items():
                known = self.lag.get(partition)
                if at is None:
                    continue
                if known is None:
                    self.lag[partition] = PartitionLag(at, at, at)
                elif known.answered != at:
                    # The record that was the oldest has its answer now.
                    is_newer = known.answered is not None and at > known.answered
                    oldest_s = None if is_newer else known.oldest_s
                    # An offset that was read is stable, whatever the brokers have told before.
                    stable, end = max(at, known.stable), max(at, known.end)
                    self.lag[partition] = PartitionLag(at, stable, end, oldest_s)

    def note_ends(self, ends: Mapping[int, tuple[int, int]], oldest_s: Mapping[int, float]) -> None:
        """Note the ends of the partitions, as brokers tell them.

        Args:
            ends: partition → (last stable offset, end).
            oldest_s: partition → timestamp of the first record without an answer.
        """
        with self.changing():
            for partition, (stable, end) in ends.items():
                known = self.lag.get(partition)
                answered = None if known is None else known.answered
                # The two were asked one after the other, and a batch may have ended since.
                stable = max(stable, answered or 0)
                end = max(end, stable)
                self.lag[partition] = PartitionLag(answered, stable, end, oldest_s.get(partition))

    def count_predictions(self) -> Mapping[tuple[str, str], int]:
        """Return (model, label) → number of committed predictions."""
        outcomes = self.count_outcomes(self.output_topic)
        return {read_prediction(outcome): count for outcome, count in outcomes.items()}

    def count_shadows(self) -> Mapping[tuple[str, Relation, str], int]:
        """Return (shadow, relation, label or class of its error) → number of its messages.

        Each shadow and relation begins at 0, so that an increase is seen with its first message.
        """
        counts = {(it, relation, ""): 0 for it in self.shadows for relation in Relation}
        for outcome, count in self.count_outcomes(self.shadow_topic).items():
            counts[read_shadow(outcome)] = count
        return counts

    @property
    def shadow_errors(self) -> int:
        """The number of records for which a shadow gave no answer."""
        counts = self.count_shadows()
        return sum(n for (_, relation, _), n in counts.items() if relation is Relation.ERROR)

    @property
    def records(self) -> int:
        """The number of answers that this process has committed, without those of shadows."""
        topics = (self.output_topic, self.dead_letter_topic)
        return sum(sum(self.count_outcomes(topic).values()) for topic in topics)

    def count_outcomes(self, topic: str) -> Mapping[str, int]:
        """Return outcome → number of messages that this process has committed to a topic."""
        return dict(self.tally.outcomes.get(topic, {}))
