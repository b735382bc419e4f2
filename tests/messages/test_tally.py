"""Committed messages are counted once, with the times that their records waited."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from lib.messages.columns import COUNTED_SCHEMA
from lib.messages.tally import (
    BOUNDS_S,
    Tally,
    Waits,
    add_tallies,
    count_messages,
    read_rejection,
    spell_rejection,
)

NOW_S = 1_000_000.0


def message(
    topic: str, outcome: str, offset: int, partition: int = 0, waited_s: float | None = 1.0
) -> dict[str, object]:
    time_ms = None if waited_s is None else int((NOW_S - waited_s) * 1_000)
    return {
        "topic": topic,
        "source_partition": partition,
        "source_offset": offset,
        "outcome": outcome,
        "record_time_ms": time_ms,
        "event_time_ms": None,
    }


def table(*messages: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(messages), schema=COUNTED_SCHEMA)


def test_messages_are_counted_by_topic_and_outcome() -> None:
    found = count_messages(
        table(
            message("out", "Yes", 0),
            message("out", "No", 1),
            message("out", "Yes", 2),
            message("dead", "missing:tenure", 3),
            # A label may be spelled like a rule: the topic tells them apart.
            message("out", "missing:tenure", 4),
        ),
        {},
        NOW_S,
    )

    assert found is not None
    assert found.outcomes == {
        "out": {"Yes": 2, "No": 1, "missing:tenure": 1},
        "dead": {"missing:tenure": 1},
    }
    assert sum(found.record_waits.counts) == 5
    assert found.record_waits.sum_s == 5.0
    assert sum(found.event_waits.counts) == 0


def test_what_was_counted_before_is_not_counted_again() -> None:
    rows = table(
        *(message("out", "Yes", offset, partition=0) for offset in range(10, 14)),
        *(message("out", "No", offset, partition=2) for offset in range(5)),
        message("out", "No", 7, partition=300),
    )

    found = count_messages(rows, {0: 12, 2: 5, 9: 1}, NOW_S)

    assert found is not None
    assert found.outcomes == {"out": {"Yes": 2, "No": 1}}
    assert sum(found.record_waits.counts) == 3


def test_nothing_is_counted_where_nobody_wants_counts() -> None:
    assert count_messages(table(message("out", "Yes", 0)), None, NOW_S) is None
    assert count_messages(None, {}, NOW_S) is None


def test_no_rows_give_an_empty_tally() -> None:
    assert count_messages(table(), {}, NOW_S) == Tally()


def test_waits_fall_into_classes_whose_upper_bound_belongs_to_them() -> None:
    waited_ms = np.array([0, 5, 6, 10_000, 86_400_000, 86_400_001, -50], np.int64)

    found = Waits.measure(1_000_000_000 - waited_ms, 1_000_000_000.0)

    assert dict(zip((*BOUNDS_S, float("inf")), found.counts, strict=True)) == {
        **dict.fromkeys(BOUNDS_S, 0),
        0.005: 3,
        0.01: 1,
        10.0: 1,
        86_400.0: 1,
        float("inf"): 1,
    }
    assert found.sum_s == 0.005 + 0.006 + 10 + 86_400 + 86_400.001


def test_tallies_add_up_and_survive_the_way_through_json() -> None:
    one = count_messages(table(message("out", "Yes", 0, waited_s=2.0)), {}, NOW_S)
    other = count_messages(
        table(message("out", "Yes", 1, waited_s=None), message("dead", "not_json:", 2)), {}, NOW_S
    )

    both = add_tallies([None, one, None, other])

    assert both is not None
    assert both.outcomes == {"out": {"Yes": 2}, "dead": {"not_json:": 1}}
    assert both.record_waits.sum_s == 3.0
    assert Tally.from_json(json.loads(json.dumps(both.to_json()))) == both
    assert add_tallies([None, None]) is None


def test_the_newest_place_of_each_outcome_is_that_of_the_last_message() -> None:
    earlier = count_messages(table(message("dead", "not_json:", 41, partition=3)), {}, NOW_S)
    found = count_messages(
        table(
            message("dead", "missing:tenure", 7, partition=1),
            message("out", "Yes", 8, partition=1),
            message("dead", "missing:tenure", 9, partition=0),
            message("out", "Yes", 2, partition=0),
        ),
        {},
        NOW_S,
    )

    both = add_tallies([earlier, found])

    assert both is not None
    assert both.newest == {
        "dead": {"not_json:": (3, 41), "missing:tenure": (0, 9)},
        "out": {"Yes": (0, 2)},
    }
    assert Tally.from_json(json.loads(json.dumps(both.to_json()))).newest == both.newest


def test_a_rejection_is_read_as_it_is_spelled() -> None:
    assert spell_rejection("missing", "a:b") == "missing:a:b"
    assert read_rejection("missing:a:b") == ("missing", "a:b")
    assert read_rejection("not_json:") == ("not_json", "")
