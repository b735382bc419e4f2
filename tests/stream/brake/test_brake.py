"""The brake judges what is about to be written, and counts each record once."""

from __future__ import annotations

import json
import logging
import pickle
from typing import Any

import pyarrow as pa
import pytest

from lib.errors import BrakeError
from lib.exit_codes import find_exit_code
from lib.messages.columns import MESSAGE_SCHEMA
from lib.stream.brake.brake import Brake, BrakeRule
from lib.stream.brake.broken import Broken
from lib.stream.brake.memory import read_note, write_note
from lib.stream.brake.window import Limit
from lib.telemetry.brake import BrakeState
from tests.stream.brake.test_window import outcomes, spell

# Limit: 2 of 10.
STOP = BrakeRule(Limit(0.2, 10), True, "in", "out", "dead")
ALERT = BrakeRule(Limit(0.2, 10), False, "in", "out", "dead")


def letter(rule: str, field: str = "", error: str = "validation_error") -> dict[str, Any]:
    violation = {"field": field, "rule": rule, "found": "secret", "expected": "another"}
    texts = {
        "__connect.errors.topic": "in",
        "__connect.errors.partition": "0",
        "__connect.errors.offset": "0",
        "__connect.errors.stage": "check",
        "__connect.errors.exception.class.name": error,
        "__connect.errors.exception.message": "secret",
        "__scoring.violations": json.dumps([violation] if rule else []),
        "__scoring.retry_count": "0",
    }
    headers = [{"key": name, "value": text.encode()} for name, text in texts.items()]
    return {"topic": "dead", "value": b"secret", "headers": headers}


BAD = letter("not_allowed", "Contract")


def messages(
    text: str, start: int = 0, partition: int = 0, bad: dict[str, Any] | None = None
) -> pa.Table:
    """Make a prediction for each point, and a dead letter for each x."""
    rows = [
        {
            **((bad or BAD) if it == "x" else {"topic": "out", "value": b"{}"}),
            "source_partition": partition,
            "source_offset": start + row,
        }
        for row, it in enumerate(text)
    ]
    return pa.Table.from_pylist(rows, schema=MESSAGE_SCHEMA)


def write(brake: Brake, text: str, start: int = 0, partition: int = 0) -> None:
    """Judge a batch, write it, and note that it was written."""
    brake.judge(messages(text, start, partition))
    dead = text.count("x")
    counts = {"out": len(text) - dead, "dead": dead}
    brake.note({partition: start}, {partition: start + len(text)}, counts)


def test_a_flood_within_one_batch_stops_before_it_is_written() -> None:
    brake = Brake(STOP)
    write(brake, "..........")

    with pytest.raises(BrakeError) as caught:
        brake.judge(messages("...xxxxx..", start=10))

    assert caught.value.message == (
        "5 of 10 records in a row are dead letters, 50.0%, more than --max-dead-letter-share 0.2"
        " allows; in this batch: 5 not_allowed of Contract (in-0@13)"
    )
    assert "--once-accept-dead-letters" in caught.value.hint
    assert not caught.value.is_transient
    assert find_exit_code(caught.value) == 5
    assert spell(brake.recent) == ".........."


def test_a_flood_over_many_small_batches_stops() -> None:
    brake = Brake(STOP)
    for start, text in enumerate("....x.....x"):
        write(brake, text, start)
    with pytest.raises(
        BrakeError, match=r"^3 of 10 records.*: 1 not_allowed of Contract \(in-0@11"
    ):
        write(brake, "x", 11)


def test_all_dead_letters_count_whatever_they_break() -> None:
    table = pa.concat_tables(
        [
            messages("xx", 0, 0, letter("not_json", "", "processing_error")),
            messages("xxx", 4, 1, letter("", "", "inference_error")),
            messages("xxxx", 8, 2, letter("missing", "tenure")),
            messages("x", 3, 3, letter("malformed", "id")),
        ]
    )
    with pytest.raises(BrakeError, match=r"^10 of 10 records") as caught:
        Brake(STOP).judge(table)
    assert caught.value.message.endswith(
        "in this batch: 4 missing of tenure (in-2@8), 3 no_probability (in-1@4),"
        " 2 not_json (in-0@0)"
    )
    assert "secret" not in str(caught.value)


def test_envelopes_are_read_too() -> None:
    envelope = {
        "original_message": "secret",
        "error_type": "validation_error",
        "error_message": "secret",
        "validation_errors": [
            {"field": "tenure", "rule": "wrong_type", "found": "secret", "expected": "integer"}
        ],
        "source_topic": "in",
        "retry_count": 0,
    }
    bad = {"topic": "dead", "value": json.dumps(envelope).encode()}
    with pytest.raises(BrakeError, match=r"this batch: 10 wrong_type of tenure \(in-4@7\)"):
        Brake(STOP).judge(messages("x" * 10, 7, 4, bad))


def test_nothing_is_judged_before_there_are_enough_records() -> None:
    brake = Brake(STOP)
    write(brake, "xxxxxxxxx")
    write(brake, "...", 9)
    with pytest.raises(BrakeError, match=r"^7 of 10 records"):
        write(brake, "x", 12)


def test_a_repeated_batch_counts_once() -> None:
    brake = Brake(STOP)
    write(brake, "........xx")
    brake.judge(messages("...", 10))  # it could not be written
    brake.judge(messages("...", 10))
    brake.note({0: 10}, {0: 13}, {"out": 3})
    assert spell(brake.recent) == ".....xx..."
    # It was written, although nobody could tell: Spark repeats it.
    write(brake, "...", 10)
    write(brake, "xx........", 0)
    assert spell(brake.recent) == ".....xx..."


def test_a_batch_that_stopped_the_job_stops_it_again() -> None:
    brake = Brake(STOP)
    write(brake, "........xx")
    for _ in range(2):
        with pytest.raises(BrakeError, match=r"^3 of 10 records"):
            brake.judge(messages("x", 10))

    after = Brake(STOP, recent=read_note(write_note(7, brake.recent), 7))
    with pytest.raises(BrakeError, match=r"^3 of 10 records"):
        after.judge(messages("x", 10))


@pytest.mark.parametrize(
    ("text", "batch"),
    [("", 7), ("{", 7), ("[]", 7), ('{"batch": 7, "records": 10, "dead": "0"}', 7)],
)
def test_a_note_that_cannot_be_read_is_none(text: str, batch: int) -> None:
    assert read_note(text, batch).size == 0


def test_a_note_holds_for_its_batch_only() -> None:
    note = write_note(7, outcomes("x..x.....xx"))
    assert spell(read_note(note, 7)) == "x..x.....xx"
    assert read_note(note, 8).size == 0


def test_a_large_batch_that_is_written_in_parts_counts_once() -> None:
    brake = Brake(STOP)
    brake.judge(messages("x........x", 0))
    brake.judge(messages("..........", 10))
    brake.note({0: 0}, {0: 20}, {"out": 18, "dead": 2})
    assert spell(brake.recent) == ".........."
    brake.judge(messages("........xx", 20))
    with pytest.raises(BrakeError, match=r"^3 of 10 records"):
        brake.judge(messages("x.........", 30))


def test_records_that_are_accepted_neither_count_nor_are_judged() -> None:
    brake = Brake(STOP).pass_over({0: 30, 1: None})
    write(brake, "x" * 20, 0)
    assert spell(brake.recent) == ""
    write(brake, "xxxxxxxxxx..........", 20)
    assert spell(brake.recent) == ".........."
    with pytest.raises(BrakeError, match=r"^3 of 10 records.*in-0@40"):
        write(brake, "xxx", 40)


def test_what_an_earlier_run_has_answered_is_not_judged() -> None:
    brake = Brake(STOP).pass_over({0: 20, 1: 0})
    brake.judge(pa.concat_tables([messages("x" * 20), messages("....", 0, 1)]))
    brake.note({}, {0: 20, 1: 4}, {"out": 4, "dead": 20})
    assert spell(brake.recent) == "...."


def test_answers_on_other_topics_do_not_count() -> None:
    shadows = messages("." * 30).set_column(0, "topic", pa.array(["shadow"] * 30))
    brake = Brake(STOP)
    brake.judge(pa.concat_tables([messages("........xx"), shadows]))
    brake.note({}, {0: 10}, {"out": 8, "dead": 2, "shadow": 30})
    assert spell(brake.recent) == "........xx"


def test_partitions_are_judged_side_by_side() -> None:
    # A fifth of all records: on the driver that is not too much, whatever their partition.
    table = pa.concat_tables(
        [messages("." * 20, 0, it) for it in range(4)] + [messages("x" * 20, 0, 4)]
    )
    Brake(STOP).judge(table)
    with pytest.raises(BrakeError, match=r"^10 of 10 records"):
        Brake(STOP).judge(messages("x" * 20, 0, 4))


def test_a_task_judges_its_partition_after_what_the_driver_knows() -> None:
    brake = Brake(STOP)
    write(brake, "........xx")
    task: Brake = pickle.loads(pickle.dumps(brake))
    task.judge(messages("..", 0, 1))
    with pytest.raises(BrakeError, match=r"^3 of 10 records") as caught:
        pickle.loads(pickle.dumps(brake)).judge(messages("x", 0, 2))
    assert "nothing of this partition's part of the batch is written" in caught.value.hint


def test_what_tasks_have_written_counts_by_its_numbers() -> None:
    states: list[BrakeState] = []
    brake = Brake(STOP, states.append, look=lambda *_: [Broken("not_json", "", "in-0@7")] * 2)
    brake.note({}, {0: 5, 1: 5}, {"out": 8, "dead": 2})
    assert spell(brake.recent) == "....x....x"
    # Each task had too few of its own.
    with pytest.raises(BrakeError) as caught:
        brake.note({0: 5}, {0: 15}, {"out": 5, "dead": 5})
    assert caught.value.message == (
        "5 of 10 records in a row are dead letters, 50.0%, more than --max-dead-letter-share 0.2"
        " allows; in this batch: 2 not_json (in-0@7)"
    )
    assert caught.value.hint.startswith("this batch is written, and nothing after it; ")
    assert [(it.share, it.is_engaged) for it in states] == [(0.2, False), (0.5, True)]
    # The next start goes on with good records, and stops at the first that is none.
    after = Brake(STOP, recent=brake.recent)
    after.judge(messages("..", 15))
    with pytest.raises(BrakeError, match=r"^5 of 10 records"):
        after.judge(messages(".x", 15))


def test_the_brake_warns_at_most_once_a_minute_where_it_does_not_stop(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    states: list[BrakeState] = []
    brake = Brake(ALERT, states.append)
    with caplog.at_level(logging.WARNING, "lib.stream.brake"):
        write(brake, "x" * 10)
        now_s += 59
        write(brake, "x" * 10, 10)
        assert caplog.messages == [
            "the brake: 10 of 10 records in a row are dead letters, 100.0%, more than"
            " --max-dead-letter-share 0.2 allows; in this batch: 10 not_allowed of Contract"
            " (in-0@0)"
        ]
        now_s += 1
        write(brake, "x.......", 20)
        assert len(caplog.messages) == 2
        now_s += 100
        write(brake, "..", 28)
        assert len(caplog.messages) == 2
    assert [(it.share, it.is_engaged) for it in states] == [
        (1.0, True),
        (1.0, True),
        (0.3, True),
        (0.1, False),
    ]
    # Tasks leave that to the driver.
    pickle.loads(pickle.dumps(Brake(ALERT))).judge(messages("x" * 10))


def test_an_empty_batch_changes_nothing() -> None:
    brake = Brake(STOP)
    write(brake, "xxxxx")
    brake.judge(messages(""))
    brake.note({0: 5}, {0: 7}, {})
    assert spell(brake.recent) == "xxxxx"
