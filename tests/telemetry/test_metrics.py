"""Metrics follow Prometheus' conventions, and say what the figures say."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lib.messages.tally import Tally, Waits
from lib.telemetry.brake import BrakeState
from lib.telemetry.figures import Figures, Heap, Model, PartitionLag, ProcessUse, Program
from lib.telemetry.metrics import METRICS, MetricSpec, write_metrics
from lib.telemetry.state import JobState, State

_UNITS = (
    *("_seconds", "_bytes", "_records", "_messages", "_offset", "_info", "_total", "_ratio"),
    *("_psi", "_psi_limit"),  # an index without a unit
)


# Figures of quality have no unit, and some others are yes or no.
_WITHOUT_UNIT = {"state", "ready", "fallback_in_use", "model_threshold", "brake_engaged"} | {
    f"outcomes_{name}"
    for name in (
        *("roc_auc", "roc_auc_low", "roc_auc_high", "training_roc_auc", "below_training"),
        *("brier", "calibration_error"),
    )
}


def fill() -> Figures:
    waits = Waits.measure(np.array([0, 950, 970], np.int64), 1_000.0)
    outcomes = {
        "out": {"m@3/onnx\tYes": 2, "m@3/onnx\tNo": 5},
        "dead": {"missing:tenure": 1, "not_json:": 2, "no_probability:": 3},
    }
    return Figures(
        output_topic="out",
        dead_letter_topic="dead",
        started_s=10.0,
        program=Program("0.1.0", "abc", "4.2.0", "3.11.7"),
        model=Model("m@3/onnx", "onnx", 0.25, is_fallback=True, since_s=20.0),
        tally=Tally(outcomes, waits, Waits()),
        replayed=4,
        restarts=Counter({"QueryFailedError": 2}),
        fenced=1,
        model_loads=Counter(fallback=1),
        client_errors=Counter(_TRANSPORT=3),
        lag={0: PartitionLag(10, 12, 15), 7: PartitionLag(None, 3, 3)},
        processes={"jvm": ProcessUse(1_000, 2.5, 1)},
        heap=Heap(100, 200),
        brake=BrakeState(0.25, 0.2, 100, stops=True, is_engaged=True),
    )


def read_samples(figures: Figures, job: JobState) -> dict[str, float]:
    text = write_metrics(figures, job).decode()
    return {
        sample.name
        + "".join(f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_metrics_say_what_the_figures_say() -> None:
    job = JobState()
    job.enter(State.RUNNING)

    found = read_samples(fill(), job)

    expected = {
        "records_total{answer=prediction}": 7,
        "records_total{answer=dead_letter}": 6,
        "predictions_total{label=Yes}{model_version=m@3/onnx}": 2,
        "predictions_total{label=No}{model_version=m@3/onnx}": 5,
        "dead_letters_total{field=tenure}{rule=missing}": 1,
        "dead_letters_total{field=}{rule=not_json}": 2,
        "dead_letters_total{field=}{rule=no_probability}": 3,
        "replayed_messages_total": 4,
        "record_latency_seconds_bucket{le=0.025}": 0,
        "record_latency_seconds_bucket{le=0.05}": 2,
        "record_latency_seconds_bucket{le=1}": 3,
        "record_latency_seconds_bucket{le=+Inf}": 3,
        "record_latency_seconds_count": 3,
        "record_latency_seconds_sum": 1.08,
        "lag_records{partition=0}": 5,
        "held_back_records{partition=0}": 3,
        "stable_offset{partition=0}": 12,
        "answered_offset{partition=0}": 10,
        "end_offset{partition=7}": 3,
        "restarts_total{cause=QueryFailedError}": 2,
        "restarts_total{cause=BatchTimeoutError}": 0,
        "fenced_total": 1,
        "brake_share_ratio": 0.25,
        "brake_limit_ratio": 0.2,
        "brake_engaged{action=stop}": 1,
        "model_loads_total{result=fallback}": 1,
        "model_info{engine=onnx}{model_version=m@3/onnx}": 1,
        "model_threshold": 0.25,
        "model_loaded_timestamp_seconds": 20,
        "fallback_in_use": 1,
        "build_info{commit=abc}{python=3.11.7}{spark=4.2.0}{version=0.1.0}": 1,
        "start_timestamp_seconds": 10,
        "state{state=running}": 1,
        "state{state=stuck}": 0,
        "ready": 1,
        "kafka_client_errors_total{error=_TRANSPORT}": 3,
        "process_resident_memory_bytes{process=jvm}": 1_000,
        "process_cpu_seconds_total{process=jvm}": 2.5,
        "jvm_heap_used_bytes": 100,
        "jvm_heap_max_bytes": 200,
    }
    assert {name: found[f"scoring_{name}"] for name in expected} == expected
    # A figure that is not known has no sample, instead of 0.
    for name in ("lag_records{partition=7}", "lag_seconds{partition=0}"):
        assert f"scoring_{name}" not in found


def test_a_process_that_has_just_begun_has_metrics() -> None:
    found = read_samples(Figures(), JobState())

    # An increase is not seen in a series that begins with its first event.
    assert found["scoring_records_total{answer=prediction}"] == 0
    assert found["scoring_records_total{answer=dead_letter}"] == 0
    assert found["scoring_restarts_total{cause=QueryFailedError}"] == 0
    assert found["scoring_ready"] == 0
    assert found["scoring_state{state=starting}"] == 1


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_a_metric_has_a_conventional_name_and_a_sentence(spec: MetricSpec) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.name)
    assert spec.name.endswith("_total") == (spec.kind == "counter")
    if spec.name not in _WITHOUT_UNIT:
        assert spec.name.endswith(_UNITS)
    assert re.match(r"[A-Z0-9]", spec.help)
    assert spec.help.endswith(".")


def test_names_are_unique() -> None:
    assert len({spec.name for spec in METRICS}) == len(METRICS)
