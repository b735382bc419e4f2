"""The figures of a process: lag, batches and what was committed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lib.messages.tally import Tally
from lib.telemetry.figures import BATCH_BOUNDS_S, Figures, PartitionLag, Rejection
from lib.telemetry.progress import BatchProgress


def event(ends: dict[str, int], **durations: int) -> dict[str, Any]:
    return {"batchId": 4, "sources": [{"endOffset": {"in": ends}}], "durationMs": durations}


def batch(duration_ms: int = 0) -> BatchProgress:
    return BatchProgress(4, 10, 9, 1, 100.0, duration_ms, 0)


def test_lag_is_counted_from_the_first_offset_without_an_answer_to_the_high_watermark() -> None:
    figures = Figures()
    figures.note_answered({0: 10, 1: None})
    figures.note_ends({0: (12, 15), 1: (3, 3)}, {0: 990.0})

    assert figures.lag == {0: PartitionLag(10, 12, 15, 990.0), 1: PartitionLag(None, 3, 3)}
    assert (figures.lag[0].records, figures.lag[1].records) == (5, None)
    assert figures.lag[0].find_age_s(1_000.0) == 10.0
    assert figures.lag[1].find_age_s(1_000.0) is None


def test_an_answered_partition_has_no_age_and_a_clock_that_is_behind_gives_none_below_zero() -> (
    None
):
    assert PartitionLag(15, 15, 15).find_age_s(1_000.0) == 0.0
    assert PartitionLag(14, 15, 15, 1_001.0).find_age_s(1_000.0) == 0.0
    # The brokers told the end before the batch was answered.
    assert PartitionLag(20, 15, 15).records == 0


def test_a_batch_moves_the_answered_offset_and_forgets_the_oldest_record() -> None:
    figures = Figures()
    figures.note_ends({0: (100, 100)}, {0: 990.0})
    figures.note_positions(event({"0": 60}))
    assert figures.lag[0] == PartitionLag(60, 100, 100, 990.0)

    figures.note_positions(event({"0": 80}))
    assert figures.lag[0] == PartitionLag(80, 100, 100, None)
    # The end is at least what was answered, even before the brokers are asked again.
    figures.note_positions(event({"0": 120}))
    assert figures.lag[0] == PartitionLag(120, 120, 120, None)
    assert figures.lag[0].records == 0
    # So nothing is held back, and an older answer of the brokers changes nothing.
    figures.note_ends({0: (110, 110)}, {})
    assert figures.lag[0] == PartitionLag(120, 120, 120, None)
    # The last stable offset was asked after the end, and more had arrived meanwhile.
    figures.note_ends({0: (150, 140)}, {})
    assert figures.lag[0] == PartitionLag(120, 150, 150, None)


def test_an_event_of_an_idle_trigger_or_without_offsets_changes_nothing() -> None:
    figures = Figures()
    figures.note_positions({"batchId": 0})
    figures.note_positions({"batchId": 0, "sources": [{"endOffset": None}]})

    assert figures.lag == {}


def test_durations_of_batches_fall_into_classes_and_parts_add_up() -> None:
    figures = Figures()
    figures.add_batch(event({}, triggerExecution=250, addBatch=200, walCommit=30), batch())
    figures.add_batch(event({}, triggerExecution=251, addBatch=210), batch())
    figures.add_batch(event({}, triggerExecution=400_000), batch())
    figures.add_batch({"batchId": 5}, batch(duration_ms=10))

    counts = dict(zip((*BATCH_BOUNDS_S, None), figures.batch_durations, strict=True))
    assert {bound: count for bound, count in counts.items() if count} == {
        0.025: 1,
        0.25: 1,
        0.5: 1,
        None: 1,
    }
    assert figures.batch_duration_sum_s == 0.25 + 0.251 + 400 + 0.01
    assert figures.phases_s == {"addBatch": pytest.approx(0.41), "walCommit": 0.03}
    assert figures.batches == 4


def test_tallies_add_up_and_an_empty_batch_commits_nothing() -> None:
    figures = Figures()
    figures.add_tally(None, replayed=3)
    assert figures.committed_s is None

    figures.add_tally(Tally({"out": {"Yes": 2}}), replayed=0)
    figures.add_tally(Tally({"out": {"Yes": 1}, "dead": {"missing:x": 1}}), replayed=1)

    assert figures.replayed == 4
    assert figures.tally.outcomes == {"out": {"Yes": 3}, "dead": {"missing:x": 1}}
    assert figures.committed_s is not None


def test_dead_letters_keep_their_first_and_last_time_and_their_newest_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(time, "time", lambda: now_s)
    figures = Figures(output_topic="out", dead_letter_topic="dead")

    for number in range(7):
        now_s = 1_000.0 + number
        figures.add_tally(
            Tally(
                {"dead": {"not_json:": 2}, "out": {"Yes": 5}},
                newest={"dead": {"not_json:": (0, 10 * number)}, "out": {"Yes": (1, 3)}},
            ),
            replayed=0,
        )
    # Spark's own sink counts, but knows no places.
    figures.add_tally(Tally({"dead": {"missing:tenure": 1}}), replayed=0)

    assert figures.count_outcomes("dead") == {"not_json:": 14, "missing:tenure": 1}
    assert figures.rejections == {
        "not_json:": Rejection(1_000.0, 1_006.0, ((0, 60), (0, 50), (0, 40), (0, 30), (0, 20))),
        "missing:tenure": Rejection(1_006.0, 1_006.0, ()),
    }
