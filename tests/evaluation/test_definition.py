"""Weeks are complete when the youngest of their predictions is old enough."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from lib.evaluation.baseline import Baseline, is_below
from lib.evaluation.definition import AGES, Definition, find_age
from lib.evaluation.quality import Estimate

MONDAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("as_of", "mature_after", "last"),
    [
        # The week of the second of March ends with the eighth, a Sunday.
        (datetime(2026, 3, 9, tzinfo=UTC), 0, MONDAY),
        (datetime(2026, 3, 8, 23, 59, tzinfo=UTC), 0, MONDAY - timedelta(7)),
        (datetime(2026, 4, 8, tzinfo=UTC), 30, MONDAY),
        (datetime(2026, 4, 7, 23, tzinfo=UTC), 30, MONDAY - timedelta(7)),
        (datetime(2026, 3, 9, 12, tzinfo=UTC), 0.5, MONDAY),
        (datetime(2026, 3, 9, 1, tzinfo=timezone(timedelta(hours=2))), 0, MONDAY - timedelta(7)),
    ],
)
def test_the_last_complete_week(as_of: datetime, mature_after: float, last: date) -> None:
    definition = Definition(as_of, mature_after_days=mature_after)

    assert definition.last_complete_week == last
    assert definition.is_complete(last)
    assert not definition.is_complete(last + timedelta(7))


def test_recent_weeks_are_the_newest_complete_ones() -> None:
    definition = Definition(datetime(2026, 4, 8, tzinfo=UTC), recent_weeks=2)

    weeks = [MONDAY + timedelta(weeks=it) for it in (-2, -1, 0, 1)]
    assert [definition.is_recent(it) for it in weeks] == [False, True, True, False]


@pytest.mark.parametrize(
    ("days", "name"),
    [
        (0, "up to 1 day"),
        (0.99, "up to 1 day"),
        (1, "1 to 7 days"),
        (6.9, "1 to 7 days"),
        (7, "7 to 30 days"),
        (364.9, "180 to 365 days"),
        (4_000, "over 365 days"),
    ],
)
def test_ages_have_classes(days: float, name: str) -> None:
    assert AGES[find_age(days)][1] == name


@pytest.mark.parametrize(
    ("found", "baseline", "expected"),
    [
        (Estimate(0.70, 0.68, 0.72), Baseline(0.80, 0.005, None), True),
        (Estimate(0.78, 0.76, 0.80), Baseline(0.80, 0.005, None), False),
        # Either uncertainty would be too small alone: 0.02 and 0.0196 make 0.028.
        (Estimate(0.775, 0.755, 0.795), Baseline(0.80, 0.010, None), False),
        (Estimate(0.77, 0.75, 0.79), Baseline(0.80, 0.010, None), True),
        (Estimate(0.90, 0.88, 0.92), Baseline(0.80, 0.005, None), False),
        (Estimate(0.70), Baseline(0.80, 0.005, None), None),
        (None, Baseline(0.80, 0.005, None), None),
        (Estimate(0.70, 0.68, 0.72), None, None),
    ],
)
def test_below_the_training_means_by_more_than_chance(
    found: Estimate | None, baseline: Baseline | None, expected: bool | None
) -> None:
    assert is_below(found, baseline) is expected
