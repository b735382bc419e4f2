from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.record.prediction import Prediction
from lib.record.violations import Rule, Violation
from tests.support.telco import CUSTOMER

PREDICTION = {
    "customerID": "7590-VHVEG",
    "churn_probability": 0.25,
    "prediction": "No",
    "event_ts": None,
    "processed_ts": "2026-01-02T03:04:05.678Z",
    "model_version": "churn@1/spark",
}
VIOLATION = {"field": "tenure", "rule": "out_of_range", "found": "-1", "expected": "0 to 120"}
HEADERS = [
    ("trace", b"\xff"),
    ("__connect.errors.topic", b"in"),
    ("__connect.errors.partition", b"3"),
    ("__connect.errors.offset", b"42"),
    ("__connect.errors.stage", b"check"),
    ("__connect.errors.exception.class.name", b"validation_error"),
    ("__connect.errors.exception.message", b"tenure out_of_range"),
    ("__scoring.violations", json.dumps([VIOLATION]).encode()),
    ("__scoring.retry_count", b"2"),
]
ENVELOPE: dict[str, Any] = {
    "original_message": "hello",
    "original_encoding": "utf-8",
    "error_type": "processing_error",
    "error_message": "record not_json",
    "validation_errors": [VIOLATION],
    "source_topic": "in",
    "failed_ts": "2026-01-02T03:04:05.678Z",
    "consumer_group": "query",
    "retry_count": 1,
}


def test_a_prediction_is_read() -> None:
    prediction = Prediction.from_value(json.dumps(PREDICTION).encode(), CUSTOMER)

    assert prediction == Prediction(
        "7590-VHVEG", 0.25, "No", None, "2026-01-02T03:04:05.678Z", "churn@1/spark"
    )


@pytest.mark.parametrize("field", sorted(set(PREDICTION) - {"event_ts"}))
def test_a_prediction_without_a_field_is_refused_by_name(field: str) -> None:
    fields = {name: value for name, value in PREDICTION.items() if name != field}

    with pytest.raises(ValueError, match=f"lacks the field '{field}'"):
        Prediction.from_value(json.dumps(fields).encode(), CUSTOMER)


@given(st.binary() | st.none(), st.binary() | st.none())
def test_a_dead_letter_with_headers_keeps_any_bytes(key: bytes | None, value: bytes | None) -> None:
    letter = DeadLetter.from_message(key, value, HEADERS)

    assert (letter.key, letter.value) == (key, value)
    assert letter.error_type is ErrorType.VALIDATION
    assert letter.violations == (Violation("tenure", Rule.OUT_OF_RANGE, "-1", "0 to 120"),)
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == ("in", 3, 42)
    assert letter.retry_count == 2
    assert letter.failed_ts is None, "a letter of an older version does not say"


def test_headers_say_when_a_record_failed() -> None:
    headers = [*HEADERS, ("__scoring.failed_ts", b"2026-01-02T03:04:05.678Z")]

    letter = DeadLetter.from_message(b"k", b"v", headers)

    assert letter.failed_ts == "2026-01-02T03:04:05.678Z"
    assert letter.headers == (("trace", b"\xff"),)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_envelope_keeps_any_text(text: str) -> None:
    envelope = json.dumps({**ENVELOPE, "original_message": text}).encode()

    letter = DeadLetter.from_message(b"k", envelope, [("traceparent", b"00-1")])

    assert letter.value == text.encode()
    assert letter.headers == (("traceparent", b"00-1"),)
    assert (letter.error_type, letter.retry_count) == (ErrorType.PROCESSING, 1)
    assert (letter.source_partition, letter.source_offset) == (None, None)
    assert letter.failed_ts == "2026-01-02T03:04:05.678Z"


@given(st.binary())
def test_an_envelope_keeps_any_bytes_as_base64(value: bytes) -> None:
    text = base64.b64encode(value).decode()
    envelope = {**ENVELOPE, "original_message": text, "original_encoding": "base64"}

    assert DeadLetter.from_message(None, json.dumps(envelope).encode(), []).value == value


def test_an_envelope_of_a_tombstone_has_no_value() -> None:
    envelope = {**ENVELOPE, "original_message": None, "original_encoding": None}

    assert DeadLetter.from_message(b"k", json.dumps(envelope).encode(), None).value is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry_count", "2"),
        ("retry_count", None),
        ("source_topic", ["in"]),
        ("error_message", {}),
        ("failed_ts", 5),
        ("error_type", "no_error"),
        ("validation_errors", 5),
        ("validation_errors", [{**VIOLATION, "field": None}]),
        ("validation_errors", [{**VIOLATION, "found": 5}]),
        ("original_message", 5),
    ],
)
def test_an_envelope_with_a_value_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"no dead letter|is not a valid ErrorType"):
        DeadLetter.from_message(b"k", json.dumps({**ENVELOPE, name: value}).encode(), None)


def test_a_message_that_nests_too_deeply_to_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="no dead letter of this project: RecursionError"):
        DeadLetter.from_message(b"k", b"[" * 200_000, None)


def test_a_message_in_neither_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"__connect\.errors\.stage"):
        DeadLetter.from_message(b"k", None, [("trace", b"1")])
