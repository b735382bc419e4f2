"""The account finds each kind of fault; all tests here except the first are negative controls."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lib.decode.engines.python import decode_value
from lib.messages.dead_letter import (
    HEADER_CLASS,
    HEADER_MESSAGE,
    HEADER_OFFSET,
    HEADER_PARTITION,
    HEADER_RETRY_COUNT,
    HEADER_STAGE,
    HEADER_TOPIC,
    HEADER_VIOLATIONS,
    ErrorType,
)
from tests.hostile.account import HostileAccount
from tests.hostile.records import Headers, build_record
from tests.support.telco import CUSTOMER

SEED, NUMBERS, PARTITIONS = 5, range(100, 140), 4
Answer = tuple[str, bytes | None, bytes | None, Headers]


def answer(number: int) -> Answer:
    """Return (kind, key, value, headers) of the answer that a job without faults gives."""
    record = build_record(SEED, number)
    decoded = decode_value(record.value, CUSTOMER)
    if decoded.is_valid:
        prediction = {
            "customerID": decoded.identifier,
            "churn_probability": 0.5,
            "prediction": "Yes",
            "processed_ts": "2026-01-01T00:00:00.000Z",
            "model_version": "churn@1/spark",
        }
        traced = tuple(pair for pair in record.headers if pair[0] == "traceparent")
        return "prediction", record.key, json.dumps(prediction).encode(), traced
    position = number - NUMBERS.start
    violations = [
        {"field": v.field, "rule": v.rule, "found": "", "expected": ""} for v in decoded.violations
    ]
    added = {
        HEADER_TOPIC: "t",
        HEADER_PARTITION: str(position % PARTITIONS),
        HEADER_OFFSET: str(position // PARTITIONS),
        HEADER_STAGE: "check",
        HEADER_CLASS: ErrorType.VALIDATION,
        HEADER_MESSAGE: "",
        HEADER_VIOLATIONS: json.dumps(violations),
        HEADER_RETRY_COUNT: "0",
    }
    foreign = tuple(pair for pair in record.headers if not pair[0].startswith("__"))
    headers = (*foreign, *((name, text.encode()) for name, text in added.items()))
    return "dead letter", record.key, record.value, headers


def examine(answers: list[Answer]) -> dict[str, int]:
    account = HostileAccount(SEED, NUMBERS, PARTITIONS)
    for kind, key, value, headers in answers:
        if kind == "prediction":
            account.add_prediction(key, value, headers)
        else:
            account.add_dead_letter(key, value, headers)
    account.close()
    return dict(account.faults)


def take(kind: str) -> Answer:
    """Return the first answer of a kind."""
    return next(found for found in map(answer, NUMBERS) if found[0] == kind)


ANSWERS = [answer(number) for number in NUMBERS]


def test_right_answers_have_no_fault() -> None:
    assert examine(ANSWERS) == {}


def test_a_missing_answer_is_found() -> None:
    assert examine(ANSWERS[:-1]) == {"missing": 1}


def test_a_header_that_a_prediction_must_not_have_is_found() -> None:
    kind, key, value, headers = take("prediction")
    others = [found for found in ANSWERS if found[1] != key]

    altered = (kind, key, value, (*headers, ("x", b"y")))
    assert examine([*others, altered]) == {"headers altered": 1}


@pytest.mark.parametrize("kind", ["prediction", "dead letter"])
def test_a_second_answer_is_found(kind: str) -> None:
    assert examine([*ANSWERS, take(kind)]) == {"answered twice": 1}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda key, value, headers: (key, (value or b"") + b" ", headers), "bytes altered"),
        (lambda key, value, headers: (b"other", value, headers), "key altered"),
        (lambda key, value, headers: (key, value, (("x", b"y"), *headers)), "headers altered"),
        (lambda key, value, headers: (key, value, headers[:-1]), "unreadable (ValueError)"),
    ],
)
def test_an_altered_dead_letter_is_found(
    change: Callable[[bytes | None, bytes | None, Headers], tuple[bytes, bytes, Headers]],
    fault: str,
) -> None:
    letter = take("dead letter")
    kind, key, value, headers = letter
    others = [found for found in ANSWERS if found != letter]

    assert examine([*others, (kind, *change(key, value, headers))])[fault] == 1
