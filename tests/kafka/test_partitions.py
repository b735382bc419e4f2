from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lib.kafka.partitions import Position, parse_moment, parse_partitions, parse_position

EXPECTED = "expected earliest, latest, an offset"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("all", None),
        ("0", {0}),
        ("0-3", {0, 1, 2, 3}),
        ("0,2, 5-7", {0, 2, 5, 6, 7}),
        ("4-4,4", {4}),
    ],
)
def test_what_people_write(text: str, numbers: set[int] | None) -> None:
    assert parse_partitions(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1;2", "3-1", "0,,1"])
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"0-31|ends before it begins"):
        parse_partitions(text)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("0", 0),
        ("20261123", 20261123),  # an offset, although ISO 8601 has such dates
        ("0:120,7:95", {0: 120, 7: 95}),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T14:30:00Z", datetime(2026, 11, 23, 14, 30, tzinfo=UTC)),
        ("2026-11-23 14:30", datetime(2026, 11, 23, 14, 30, tzinfo=UTC)),
        (
            "2026-11-23T14:30+02:00",
            datetime(2026, 11, 23, 14, 30, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_positions_that_people_write(text: str, position: Position) -> None:
    assert parse_position(text) == position


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *((text, EXPECTED) for text in ("", "soon", "-1", "1:", "0:1,")),
        *((text, EXPECTED) for text in ("2026-02-30", "1e3", "٣")),
        ("0:1,0:2", "a partition is named twice"),
    ],
)
def test_other_positions_are_errors(text: str, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        parse_position(text)


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("45s", datetime(2026, 11, 30, 11, 59, 15, tzinfo=UTC)),
        ("30m", datetime(2026, 11, 30, 11, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 11, 30, 10, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 23, 12, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T14:30+02:00", datetime(2026, 11, 23, 12, 30, tzinfo=UTC)),
    ],
)
def test_moments_that_people_write(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "2 hours", "h", "-2h", "yesterday", "120"])
def test_no_moment_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time in UTC"):
        parse_moment(text, NOW)


def test_a_moment_before_all_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no moment so long ago"):
        parse_moment("999999999d", NOW)
