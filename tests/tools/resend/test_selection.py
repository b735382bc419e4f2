"""Rules, fields and types of error choose the dead letters that are sent again."""

from __future__ import annotations

import pytest

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.record.violations import Rule, Violation
from lib.tools.resend.selection import Outcome, Selection, name_cause

TOPIC = "customers"


def build_letter(
    *broken: tuple[str, Rule],
    error: ErrorType = ErrorType.VALIDATION,
    topic: str = TOPIC,
    retries: int = 0,
) -> DeadLetter:
    return DeadLetter(
        key=b"7590-VHVEG",
        value=b"{}",
        error_type=error,
        message="as the violations say",
        violations=tuple(Violation(field, rule, "this", "that") for field, rule in broken),
        source_topic=topic,
        source_partition=0,
        source_offset=1,
        retry_count=retries,
    )


GENDER = build_letter(("gender", Rule.NOT_ALLOWED), ("tenure", Rule.OUT_OF_RANGE))
GARBLED = build_letter(("", Rule.NOT_UTF8), error=ErrorType.PROCESSING)
UNSCORED = build_letter(error=ErrorType.INFERENCE)


@pytest.mark.parametrize("letter", [GENDER, GARBLED, UNSCORED])
def test_without_a_choice_all_are_sent(letter: DeadLetter) -> None:
    assert Selection(TOPIC).judge(letter) is Outcome.SENT


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(TOPIC, error_types=(ErrorType.VALIDATION,)), [GENDER]),
        (
            Selection(TOPIC, error_types=(ErrorType.PROCESSING, ErrorType.INFERENCE)),
            [GARBLED, UNSCORED],
        ),
        (Selection(TOPIC, rules=(Rule.NOT_UTF8,)), [GARBLED]),
        (Selection(TOPIC, rules=(Rule.OUT_OF_RANGE, Rule.NOT_UTF8)), [GENDER, GARBLED]),
        (Selection(TOPIC, fields=("tenure",)), [GENDER]),
        (Selection(TOPIC, rules=(Rule.NOT_ALLOWED,), fields=("gender",)), [GENDER]),
        # The rule and the field are both broken, but the field does not break this rule.
        (Selection(TOPIC, rules=(Rule.NOT_ALLOWED,), fields=("tenure",)), []),
        (Selection(TOPIC, error_types=(ErrorType.PROCESSING,), fields=("gender",)), []),
        (Selection(TOPIC, fields=("Contract",)), []),
    ],
)
def test_a_choice_takes_what_it_names(selection: Selection, chosen: list[DeadLetter]) -> None:
    outcomes = [selection.judge(letter) for letter in (GENDER, GARBLED, UNSCORED)]

    expected = [
        Outcome.SENT if letter in chosen else Outcome.NOT_CHOSEN
        for letter in (GENDER, GARBLED, UNSCORED)
    ]
    assert outcomes == expected


@pytest.mark.parametrize(
    ("retries", "most", "outcome"),
    [
        (0, 1, Outcome.SENT),
        (1, 1, Outcome.SENT_BEFORE),
        (1, 2, Outcome.SENT),
        (5, 2, Outcome.SENT_BEFORE),
    ],
)
def test_a_record_that_came_back_is_not_sent_for_ever(
    retries: int, most: int, outcome: Outcome
) -> None:
    letter = build_letter(("gender", Rule.NOT_ALLOWED), retries=retries)

    assert Selection(TOPIC, max_retries=most).judge(letter) is outcome


def test_a_record_of_another_topic_is_left_alone() -> None:
    letter = build_letter(("gender", Rule.NOT_ALLOWED), topic="other")

    assert Selection(TOPIC).judge(letter) is Outcome.OF_OTHER_TOPIC


@pytest.mark.parametrize(
    ("letter", "cause"),
    [
        (GENDER, "validation_error: gender not_allowed"),
        (GARBLED, "processing_error: record not_utf8"),
        (UNSCORED, "inference_error"),
    ],
)
def test_a_cause_names_what_is_wrong_first(letter: DeadLetter, cause: str) -> None:
    assert name_cause(letter) == cause
