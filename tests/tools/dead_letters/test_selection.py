"""Rules, fields and types of error choose the dead letters that are sent again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.record.violations import Rule, Violation
from lib.tools.dead_letters.entry import Entry
from lib.tools.dead_letters.selection import Outcome, Selection, name_cause

TOPIC = "customers"
WRITTEN = datetime(2026, 11, 30, 12, tzinfo=UTC)


def build_letter(
    *broken: tuple[str, Rule],
    error: ErrorType = ErrorType.VALIDATION,
    topic: str = TOPIC,
    retries: int = 0,
    key: bytes = b"7590-VHVEG",
    partition: int | None = 0,
    failed_ts: str | None = None,
) -> DeadLetter:
    return DeadLetter(
        key=key,
        value=b"{}",
        error_type=error,
        message="as the violations say",
        violations=tuple(Violation(field, rule, "this", "that") for field, rule in broken),
        source_topic=topic,
        source_partition=partition,
        source_offset=1,
        retry_count=retries,
        failed_ts=failed_ts,
    )


def judge(letter: DeadLetter, selection: Selection, max_retries: int = 1) -> Outcome:
    return selection.judge(Entry(0, 0, letter, WRITTEN), max_retries)


GENDER = build_letter(("gender", Rule.NOT_ALLOWED), ("tenure", Rule.OUT_OF_RANGE))
GARBLED = build_letter(("", Rule.NOT_UTF8), error=ErrorType.PROCESSING)
UNSCORED = build_letter(error=ErrorType.INFERENCE)


@pytest.mark.parametrize("letter", [GENDER, GARBLED, UNSCORED])
def test_without_a_choice_all_are_sent(letter: DeadLetter) -> None:
    assert judge(letter, Selection(TOPIC)) is Outcome.SENT


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
    outcomes = [judge(letter, selection) for letter in (GENDER, GARBLED, UNSCORED)]

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

    assert judge(letter, Selection(TOPIC), most) is outcome


def test_a_record_of_another_topic_is_left_alone() -> None:
    letter = build_letter(("gender", Rule.NOT_ALLOWED), topic="other")

    assert judge(letter, Selection(TOPIC)) is Outcome.OF_OTHER_TOPIC


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EARLY = build_letter(failed_ts="2026-11-23T11:59:59.999Z", key=b"a", partition=2)
AT_NOON = build_letter(failed_ts="2026-11-23T13:00:00+01:00", key=b"b", partition=3)
# An envelope names no partition; this one no time either, so that of its message counts.
ENVELOPE = build_letter(key=b"\xff", partition=None)
GARBLED_TIME = build_letter(failed_ts="yesterday", key=b"c")


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(TOPIC, since=NOON), [AT_NOON, ENVELOPE, GARBLED_TIME]),
        (Selection(TOPIC, until=NOON), [EARLY]),
        (Selection(TOPIC, since=NOON, until=WRITTEN), [AT_NOON]),
        (Selection(TOPIC, keys={b"a", b"\xff"}), [EARLY, ENVELOPE]),
        (Selection(TOPIC, partitions={0, 2}), [EARLY, GARBLED_TIME]),
        (Selection(TOPIC, keys={b"a"}, since=NOON), []),
    ],
)
def test_a_choice_takes_times_keys_and_partitions(
    selection: Selection, chosen: list[DeadLetter]
) -> None:
    letters = (EARLY, AT_NOON, ENVELOPE, GARBLED_TIME)

    assert [it for it in letters if judge(it, selection) is Outcome.SENT] == chosen


def test_a_letter_without_any_time_is_in_no_span() -> None:
    entry = Entry(0, 0, ENVELOPE, None)

    assert Selection(TOPIC, since=NOON).find_reason(entry) is Outcome.NOT_CHOSEN
    assert Selection(TOPIC).find_reason(entry) is None


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
