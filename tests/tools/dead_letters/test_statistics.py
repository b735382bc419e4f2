"""Dead letters are counted by rule and field, with the newest places."""

from __future__ import annotations

from datetime import UTC, datetime

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.record.violations import Rule
from lib.tools.dead_letters.entry import Entry
from lib.tools.dead_letters.selection import Outcome
from lib.tools.dead_letters.statistics import (
    Statistics,
    build_statistics,
    describe_statistics,
)
from tests.tools.dead_letters.test_selection import build_letter

WRITTEN = datetime(2026, 11, 30, 12, tzinfo=UTC)


def count(*letters: DeadLetter) -> Statistics:
    found = Statistics()
    for offset, letter in enumerate(letters):
        found.add(Entry(offset % 2, offset, letter, WRITTEN))
    return found


def build(minute: int, *broken: tuple[str, Rule], retries: int = 0) -> DeadLetter:
    error = ErrorType.VALIDATION if broken else ErrorType.INFERENCE
    return build_letter(
        *broken, error=error, retries=retries, failed_ts=f"2026-11-23T14:{minute:02d}:00.500Z"
    )


GENDER = ("gender", Rule.NOT_ALLOWED)
TENURE = ("tenure", Rule.OUT_OF_RANGE)


def test_each_rule_and_field_has_its_count_share_times_and_newest_places() -> None:
    found = count(
        build(5, GENDER),
        build(1, GENDER, TENURE),
        build(4, GENDER),
        build(2, GENDER),
        build(3, retries=1),
    )
    found.left_out[Outcome.UNREADABLE] += 2

    assert list(describe_statistics(found, "letters")) == [
        "5 dead letters in letters, from 2026-11-23T14:01:00Z to 2026-11-23T14:05:00Z",
        "letters  share  first                 last                  newest       "
        "error             rule          field",
        "      4  80.0%  2026-11-23T14:01:00Z  2026-11-23T14:05:00Z  0@0 0@2 1@3  "
        "validation_error  not_allowed   gender",
        "      1  20.0%  2026-11-23T14:03:00Z  2026-11-23T14:03:00Z  0@4          "
        "inference_error   –             –",
        "      1  20.0%  2026-11-23T14:01:00Z  2026-11-23T14:01:00Z  1@1          "
        "validation_error  out_of_range  tenure",
        "a letter counts for each rule and field, so the shares add up to more than 100 %",
        "1 of them came back after they had been sent again",
        "4 of them are second copies, which at-least-once writes",
        "2 more are not counted: no dead letter of this project",
    ]


def test_the_object_for_machines_has_the_same_counts() -> None:
    found = build_statistics(count(build(5, GENDER), build(6, GENDER)), "letters")

    assert found == {
        "topic": "letters",
        "letters": 2,
        "first": "2026-11-23T14:05:00.500000+00:00",
        "last": "2026-11-23T14:06:00.500000+00:00",
        "newest": ["1@1", "0@0"],
        "came_back": 0,
        "second_copies": 1,
        "left_out": {},
        "causes": [
            {
                "error_type": "validation_error",
                "rule": "not_allowed",
                "field": "gender",
                "letters": 2,
                "share": 1.0,
                "first": "2026-11-23T14:05:00.500000+00:00",
                "last": "2026-11-23T14:06:00.500000+00:00",
                "newest": ["1@1", "0@0"],
            }
        ],
    }


def test_none_at_all_are_one_line() -> None:
    assert list(describe_statistics(Statistics(), "letters")) == ["0 dead letters in letters"]
    assert build_statistics(Statistics(), "letters")["causes"] == []


def test_a_field_that_would_move_the_cursor_is_escaped() -> None:
    lines = describe_statistics(count(build(1, ("\x1b[2J", Rule.MISSING))), "letters")

    assert all(line.isprintable() for line in lines)
