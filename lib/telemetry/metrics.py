"""Describes the figures as metrics for Prometheus: names, help and values, in one list.

Names follow https://prometheus.io/docs/practices/naming/: base units, ``_total`` for counters. No
label holds an application id, a key or anything else that grows with the records.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from lib import errors
from lib.drift.judgement import Drift
from lib.messages.tally import BOUNDS_S, Relation, Waits, read_rejection
from lib.telemetry.figures import BATCH_BOUNDS_S, DriftFigures, Figures
from lib.telemetry.outcomes import VersionQuality
from lib.telemetry.state import JobState, State

PREFIX = "scoring_"

# The errors after which the query is started again in the same process.
_CAUSES = tuple(
    kind.__name__
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.ScoringError) and kind.is_transient
)


@dataclass(frozen=True)
class Distribution:
    """A histogram's value.

    Attributes:
        bounds: the upper bounds of all classes but the last, which has none.
        counts: the number of values in each class.
        total: the sum of all values.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float


Value = float | Distribution
# A function that reads the values: the labels' values, and the number.
Read = Callable[[Figures, JobState], Iterable[tuple[tuple[str, ...], Value]]]


@dataclass(frozen=True)
class MetricSpec:
    """One metric.

    Attributes:
        name: the name in /metrics without ``_bucket`` and so on.
        kind: the type of the metric.
        labels: the names of its labels.
        help: a sentence that says what is counted.
        read: a function that reads its values.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    read: Read


def _one(value: float | None) -> Iterator[tuple[tuple[str, ...], Value]]:
    if value is not None:
        yield (), value


def _waits(waits: Waits) -> Iterator[tuple[tuple[str, ...], Value]]:
    yield (), Distribution(BOUNDS_S, waits.counts, waits.sum_s)


def _records(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    # Both begin at 0: an increase is not seen in a series that begins with its first record.
    yield ("prediction",), sum(figures.count_outcomes(figures.output_topic).values())
    yield ("dead_letter",), sum(figures.count_outcomes(figures.dead_letter_topic).values())


def _predictions(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    yield from figures.count_predictions().items()


def _dead_letters(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    for outcome, count in figures.count_outcomes(figures.dead_letter_topic).items():
        yield read_rejection(outcome), count


def _model(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    if figures.model is not None:
        yield (figures.model.scored_by, figures.model.engine), 1


def _rivals(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    if figures.challenger:
        yield (figures.challenger, "challenger"), 1
    for shadow in figures.shadows:
        yield (shadow, "shadow"), 1


def _shadow_answers(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    counts: Counter[tuple[str, str]] = Counter()
    for (model, relation, _label), count in figures.count_shadows().items():
        counts[model, str(relation)] += count
    yield from counts.items()


def _shadow_errors(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    for (model, relation, error), count in figures.count_shadows().items():
        if relation is Relation.ERROR and error:
            yield (model, error), count


def _drift(
    find: Callable[[Drift], float],
) -> Read:
    """Read one value of each feature's drift."""

    def read(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
        judged = figures.drift or DriftFigures()
        for drift in judged.found:
            yield (drift.name, judged.model_version), find(drift)

    return read


def _drift_shares(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
    judged = figures.drift or DriftFigures()
    for drift in judged.found:
        yield (drift.name, judged.model_version, "unseen"), drift.unseen
        yield (drift.name, judged.model_version, "null"), drift.missing


def _quality(read: Callable[[VersionQuality], float | None]) -> Read:
    """Build a function that reads a figure of each version with outcomes."""

    def list_values(figures: Figures, _: JobState) -> Iterator[tuple[tuple[str, ...], Value]]:
        for it in () if figures.outcomes is None else figures.outcomes.versions:
            if (value := read(it)) is not None:
                yield (it.version,), value

    return list_values


METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        *("records_total", "counter", ("answer",)),
        "Records that this process has answered, with a prediction or a dead_letter.",
        _records,
    ),
    MetricSpec(
        *("predictions_total", "counter", ("model_version", "label")),
        "Predictions that this process has committed.",
        _predictions,
    ),
    MetricSpec(
        *("dead_letters_total", "counter", ("rule", "field")),
        "Dead letters that this process has committed, by the first rule that the record breaks;"
        " rule is no_probability where the model failed, and field is empty where the whole record"
        " is meant.",
        _dead_letters,
    ),
    MetricSpec(
        *("brake_share_ratio", "gauge", ()),
        "Share of dead letters among the last records of --over, which the brake judges; no value"
        " without a brake, and before there are so many.",
        lambda it, _: _one(None if it.brake is None else it.brake.share),
    ),
    MetricSpec(
        *("brake_limit_ratio", "gauge", ()),
        "Share of dead letters that the brake allows.",
        lambda it, _: _one(None if it.brake is None else it.brake.limit),
    ),
    MetricSpec(
        *("brake_engaged", "gauge", ("action",)),
        "1 while the brake finds too many dead letters, else 0; action is what it does: stop or"
        " alert.",
        lambda it, _: [] if it.brake is None else [((it.brake.action,), it.brake.is_engaged)],
    ),
    MetricSpec(
        *("replayed_messages_total", "counter", ()),
        "Messages that were left out because an earlier run or attempt had committed them.",
        lambda it, _: _one(it.replayed),
    ),
    MetricSpec(
        *("record_latency_seconds", "histogram", ()),
        "Time from the record's Kafka timestamp to the commit of its answer.",
        lambda it, _: _waits(it.tally.record_waits),
    ),
    MetricSpec(
        *("event_latency_seconds", "histogram", ()),
        "Time from the event time in the record to the commit of its answer.",
        lambda it, _: _waits(it.tally.event_waits),
    ),
    MetricSpec(
        *("batch_duration_seconds", "histogram", ()),
        "Time of a batch with records, from its trigger to Spark's commit.",
        lambda it, _: [
            ((), Distribution(BATCH_BOUNDS_S, it.batch_durations, it.batch_duration_sum_s))
        ],
    ),
    MetricSpec(
        *("batch_phase_seconds_total", "counter", ("phase",)),
        "Time of the parts of all batches, in Spark's words; addBatch scores and writes.",
        lambda it, _: [((name,), seconds) for name, seconds in sorted(it.phases_s.items())],
    ),
    MetricSpec(
        *("last_commit_timestamp_seconds", "gauge", ()),
        "Time at which this process last committed messages.",
        lambda it, _: _one(it.committed_s),
    ),
    MetricSpec(
        *("lag_records", "gauge", ("partition",)),
        "Offsets without an answer up to the high watermark, those behind an open transaction"
        " included.",
        lambda it, _: [
            ((str(partition),), lag.records)
            for partition, lag in sorted(it.lag.items())
            if lag.records is not None
        ],
    ),
    MetricSpec(
        *("lag_seconds", "gauge", ("partition",)),
        "Age of the first record without an answer; 0 if there is none.",
        lambda it, _: [
            ((str(partition),), age_s)
            for partition, lag in sorted(it.lag.items())
            if (age_s := lag.find_age_s(time.time())) is not None
        ],
    ),
    MetricSpec(
        *("held_back_records", "gauge", ("partition",)),
        "Offsets that cannot be read yet, because a transaction of the producer is open.",
        lambda it, _: [
            ((str(partition),), lag.end - lag.stable) for partition, lag in sorted(it.lag.items())
        ],
    ),
    MetricSpec(
        *("stable_offset", "gauge", ("partition",)),
        "Last stable offset of the input, up to which a committed reader reads.",
        lambda it, _: [((str(p),), lag.stable) for p, lag in sorted(it.lag.items())],
    ),
    MetricSpec(
        *("answered_offset", "gauge", ("partition",)),
        "First offset without an answer.",
        lambda it, _: [
            ((str(partition),), lag.answered)
            for partition, lag in sorted(it.lag.items())
            if lag.answered is not None
        ],
    ),
    MetricSpec(
        *("end_offset", "gauge", ("partition",)),
        "High watermark of the input.",
        lambda it, _: [((str(p),), lag.end) for p, lag in sorted(it.lag.items())],
    ),
    MetricSpec(
        *("restarts_total", "counter", ("cause",)),
        "Restarts of the query within this process, by the class of the error.",
        # Known causes begin at 0: an increase is not seen in a series that begins with a restart.
        lambda it, _: [
            ((cause,), it.restarts[cause]) for cause in sorted({*_CAUSES, *it.restarts})
        ],
    ),
    MetricSpec(
        *("fenced_total", "counter", ()),
        "Times that another run has taken the query over from this one.",
        lambda it, _: _one(it.fenced),
    ),
    MetricSpec(
        *("model_loads_total", "counter", ("result",)),
        "Loads of a model: loaded, fallback (another one stands in), or refused.",
        lambda it, _: [((name,), count) for name, count in sorted(it.model_loads.items())],
    ),
    MetricSpec(
        *("model_info", "gauge", ("model_version", "engine")),
        "Always 1; the labels name the model in force and the engine that scores.",
        _model,
    ),
    MetricSpec(
        *("model_loaded_timestamp_seconds", "gauge", ()),
        "Time from which on the model in force has scored.",
        lambda it, _: _one(None if it.model is None else it.model.since_s),
    ),
    MetricSpec(
        *("model_threshold", "gauge", ()),
        "Smallest probability that is predicted as the positive label.",
        lambda it, _: _one(None if it.model is None else it.model.threshold),
    ),
    MetricSpec(
        *("fallback_in_use", "gauge", ()),
        "1 if a fallback scores instead of the engine that was asked for, else 0.",
        lambda it, _: _one(None if it.model is None else float(it.model.is_fallback)),
    ),
    MetricSpec(
        *("refused_model_info", "gauge", ("model_version",)),
        "Always 1; the label names the champion if it was refused, and an older version scores.",
        lambda it, _: [] if it.refusal is None else [((it.refusal.model,), 1)],
    ),
    MetricSpec(
        *("rival_info", "gauge", ("model_version", "role")),
        "Always 1; the labels name a model that scores beside the one in force, and its role:"
        " challenger or shadow.",
        _rivals,
    ),
    MetricSpec(
        *("challenger_share_ratio", "gauge", ()),
        "Share of the records that the challenger is to answer.",
        lambda it, _: _one(it.challenger_share if it.challenger else None),
    ),
    MetricSpec(
        *("shadow_answers_total", "counter", ("model_version", "relation")),
        "Messages of shadows that this process has committed: relation is agrees or differs where"
        " the champion gave a label, alone where it gave none, and error without an answer.",
        _shadow_answers,
    ),
    MetricSpec(
        *("shadow_errors_total", "counter", ("model_version", "error")),
        "Records for which a shadow gave no answer, by the class of the exception.",
        _shadow_errors,
    ),
    MetricSpec(
        *("shadow_skipped_batches_total", "counter", ()),
        "Batches that were written without what shadows answer, because one with it had failed.",
        lambda it, _: _one(it.spare_batches),
    ),
    MetricSpec(
        *("outcomes_roc_auc", "gauge", ("version",)),
        "ROC-AUC by the outcomes of the recent complete weeks, with --outcomes.",
        _quality(lambda it: it.roc_auc),
    ),
    MetricSpec(
        *("outcomes_roc_auc_low", "gauge", ("version",)),
        "Lower end of the 95 % interval of this ROC-AUC.",
        _quality(lambda it: it.roc_auc_low),
    ),
    MetricSpec(
        *("outcomes_roc_auc_high", "gauge", ("version",)),
        "Upper end of the 95 % interval of this ROC-AUC.",
        _quality(lambda it: it.roc_auc_high),
    ),
    MetricSpec(
        *("outcomes_training_roc_auc", "gauge", ("version",)),
        "Mean ROC-AUC of the version in its training.",
        _quality(lambda it: it.training_roc_auc),
    ),
    MetricSpec(
        *("outcomes_below_training", "gauge", ("version",)),
        "1 if outcomes fall short of the training by more than both intervals explain, else 0.",
        _quality(lambda it: it.is_below),
    ),
    MetricSpec(
        *("outcomes_brier", "gauge", ("version",)),
        "Brier score by the outcomes of the recent complete weeks.",
        _quality(lambda it: it.brier),
    ),
    MetricSpec(
        *("outcomes_calibration_error", "gauge", ("version",)),
        "Expected calibration error by the outcomes of the recent complete weeks.",
        _quality(lambda it: it.calibration_error),
    ),
    MetricSpec(
        *("outcomes_labelled_records", "gauge", ("version",)),
        "Predictions of the recent complete weeks that have an outcome.",
        _quality(lambda it: it.labelled),
    ),
    MetricSpec(
        *("outcomes_unlabelled_ratio", "gauge", ("version",)),
        "Share of the predictions of the recent complete weeks that have no outcome yet.",
        _quality(lambda it: it.unlabelled_share),
    ),
    MetricSpec(
        *("outcomes_as_of_timestamp_seconds", "gauge", ()),
        "Time of the newest report of outcomes.",
        lambda it, _: _one(None if it.outcomes is None else it.outcomes.as_of_s),
    ),
    MetricSpec(
        *("build_info", "gauge", ("version", "commit", "spark", "python")),
        "Always 1; the labels name the versions that run.",
        lambda it, _: [
            ((it.program.version, it.program.commit, it.program.spark, it.program.python), 1)
        ],
    ),
    MetricSpec(
        *("start_timestamp_seconds", "gauge", ()),
        "Time at which this process began.",
        lambda it, _: _one(it.started_s),
    ),
    MetricSpec(
        *("state", "gauge", ("state",)),
        "1 for the present state of the job, 0 for all others.",
        lambda _, job: [((str(state),), float(state is job.status.state)) for state in State],
    ),
    MetricSpec(
        *("state_since_timestamp_seconds", "gauge", ()),
        "Time at which the job came into its present state.",
        lambda _, job: _one(job.status.since_s),
    ),
    MetricSpec(
        *("ready", "gauge", ()),
        "1 if the job scores, or would if there were records, else 0.",
        lambda _, job: _one(float(job.status.is_ready)),
    ),
    MetricSpec(
        *("brokers_away_seconds", "gauge", ()),
        "Time for which no broker has answered; 0 if they answer.",
        lambda it, _: _one(it.outage_s),
    ),
    MetricSpec(
        *("kafka_client_errors_total", "counter", ("error",)),
        "Failed attempts of the transactions' Kafka clients, by librdkafka's name of the error.",
        lambda it, _: [((name,), count) for name, count in sorted(it.client_errors.items())],
    ),
    MetricSpec(
        *("offsets_expire_timestamp_seconds", "gauge", ()),
        "Time at which brokers may forget the group's offsets, unless they are committed before.",
        lambda it, _: _one(it.offsets_expire_s),
    ),
    MetricSpec(
        *("drift_psi", "gauge", ("feature", "model_version")),
        "Population stability index of a feature, or of the (score), in the newest window that was"
        " judged, against the training data of the version.",
        _drift(lambda drift: drift.psi),
    ),
    MetricSpec(
        *("drift_psi_limit", "gauge", ("feature", "model_version")),
        "Index above which the feature has drifted.",
        _drift(lambda drift: drift.limit),
    ),
    MetricSpec(
        *("drift_value_ratio", "gauge", ("feature", "model_version", "value")),
        "Share of the records of that window whose value is unseen (not allowed by the contract, or"
        " not in the training data) or null.",
        _drift_shares,
    ),
    MetricSpec(
        *("drift_judged_timestamp_seconds", "gauge", ()),
        "Time of the last record in the newest window that was judged.",
        lambda it, _: _one(it.drift.ended_s if it.drift and it.drift.found else None),
    ),
    MetricSpec(
        *("drift_window_age_seconds", "gauge", ()),
        "Age of the open window; 0 if there is none.",
        lambda it, _: _one(
            None if it.drift is None else time.time() - (it.drift.open_since_s or time.time())
        ),
    ),
    MetricSpec(
        *("drift_window_records", "gauge", ()),
        "Records that are counted in the open window.",
        lambda it, _: _one(None if it.drift is None else it.drift.open_records),
    ),
    MetricSpec(
        *("process_resident_memory_bytes", "gauge", ("process",)),
        "Resident memory of the driver, its JVM, and the Python workers on its machine.",
        lambda it, _: [((name,), use.memory_bytes) for name, use in sorted(it.processes.items())],
    ),
    MetricSpec(
        *("process_cpu_seconds_total", "counter", ("process",)),
        "Processor time of the driver, its JVM, and the Python workers on its machine so far.",
        lambda it, _: [((name,), use.cpu_s) for name, use in sorted(it.processes.items())],
    ),
    MetricSpec(
        *("jvm_heap_used_bytes", "gauge", ()),
        "Heap that the driver's JVM uses.",
        lambda it, _: _one(None if it.heap is None else it.heap.used_bytes),
    ),
    MetricSpec(
        *("jvm_heap_max_bytes", "gauge", ()),
        "Heap that the driver's JVM may use.",
        lambda it, _: _one(None if it.heap is None else it.heap.max_bytes),
    ),
)


class FigureCollector(Collector):
    """Turns the figures into metrics at each scrape.

    Args:
        figures: the figures of the process.
        job: the state of the job.
    """

    def __init__(self, figures: Figures, job: JobState) -> None:
        self._figures = figures
        self._job = job

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; those without a value have no sample."""
        with self._figures.reading():
            for spec in METRICS:
                yield build_family(spec, spec.read(self._figures, self._job))


def build_family(spec: MetricSpec, values: Iterable[tuple[tuple[str, ...], Value]]) -> Metric:
    """Build a metric with all its samples."""
    kind: type[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }[spec.kind]
    family = kind(PREFIX + spec.name, spec.help, labels=spec.labels)
    for labels, value in values:
        if isinstance(family, HistogramMetricFamily):
            assert isinstance(value, Distribution)
            bounds = [*(f"{bound:g}" for bound in value.bounds), "+Inf"]
            sums = list(accumulate(value.counts))
            family.add_metric(labels, list(zip(bounds, sums, strict=True)), value.total)
        else:
            assert isinstance(value, int | float)
            family.add_metric(labels, value)
    return family


def write_metrics(figures: Figures, job: JobState) -> bytes:
    """Write all metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FigureCollector(figures, job))
    return generate_latest(registry)
