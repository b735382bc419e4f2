"""The newest messages are cut off by time, so that all partitions give the same time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lib.tools.models.topics.ranges import TopicRange, find_cut
from lib.tools.models.topics.reading import Window

END = datetime(2026, 11, 23, 14, tzinfo=UTC)


@pytest.mark.parametrize(("rate", "most"), [(10, 1_000), (0.01, 100), (50_000, 200_000)])
def test_the_cut_leaves_nearly_as_many_as_may_be_read(rate: float, most: int) -> None:
    asked = []

    def count(moment: datetime) -> int:
        asked.append(moment)
        return int((END - moment).total_seconds() * rate)

    cut = find_cut(count, END, most)

    assert 0.9 * most <= count(cut) <= most
    assert len(asked) < 40


def test_a_burst_that_cannot_be_divided_is_left_out() -> None:
    burst = END - timedelta(hours=1)

    cut = find_cut(lambda moment: 500 if moment <= burst else 20, END, 100)

    assert burst < cut <= burst + timedelta(milliseconds=2)


def test_a_range_counts_its_offsets() -> None:
    assert TopicRange("t", {0: 5, 1: 9}, {0: 8, 1: 9, 2: 4}).size == 3


@pytest.mark.parametrize(
    ("since", "until", "cut", "held"),
    [
        (None, None, None, "abcd"),
        (1, None, None, "bcd"),
        (None, 2, None, "ab"),
        (1, 3, None, "bc"),
        (1, None, 2, "cd"),
        (2, None, 1, "cd"),
    ],
)
def test_a_window_holds_what_was_scored_in_it(
    since: int | None, until: int | None, cut: int | None, held: str
) -> None:
    def at(second: int | None) -> datetime | None:
        return None if second is None else END + timedelta(seconds=second)

    window = Window(at(since), at(until), 1)
    found = [
        name
        for second, name in enumerate("abcd")
        if window.holds(f"2026-11-23T14:00:0{second}.000Z", at(cut))
    ]

    assert "".join(found) == held
