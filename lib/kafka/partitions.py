"""Parses lists of partitions, ``0-31`` or ``0,2,5-7``, and positions in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

#: A place in each partition of a topic: an end of it, the same offset everywhere, an offset for
#: each partition, or the first record that is not older than a time.
Position = Literal["earliest", "latest"] | int | Mapping[int, int] | datetime

ALL_PARTITIONS = "all"
#: The forms of a position, for descriptions of settings.
POSITIONS = (
    "earliest, latest, an offset (120), offsets by partition (0:120,1:95), or a time in UTC"
    " (2026-11-23 or 2026-11-23T14:30:00Z), which is its first record from then on"
)
#: The forms of a moment, for descriptions of settings.
MOMENTS = (
    "a time in UTC (2026-11-23 or 2026-11-23T14:30:00Z), or how long ago it is: 45s, 30m, 2h, 7d"
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_PLACES = re.compile(r"\d{1,6}:\d{1,18}(,\d{1,6}:\d{1,18})*", re.ASCII)
_OFFSET = re.compile(r"\d{1,18}", re.ASCII)
_PART = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


def parse_partitions(text: str) -> frozenset[int] | None:
    """Parse the numbers that a text names; None for all partitions.

    Raises:
        ValueError: the text is no list of numbers and ranges.
    """
    if text == ALL_PARTITIONS:
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                "expected all, or numbers and ranges like 0-31 or 0,2,5-7, counted from 0"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ValueError(f"the range {part.strip()} ends before it begins")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def parse_position(text: str) -> Position:
    """Parse a position, in one of the forms that :data:`POSITIONS` describes.

    Raises:
        ValueError: the text has none of these forms, or names a partition twice.
    """
    match text:
        case "earliest" | "latest":
            return text
    if _OFFSET.fullmatch(text):
        return int(text)
    if _PLACES.fullmatch(text):
        pairs = [pair.split(":") for pair in text.split(",")]
        offsets = {int(partition): int(offset) for partition, offset in pairs}
        if len(offsets) < len(pairs):
            raise ValueError("a partition is named twice")
        return offsets
    time = parse_time(text)
    if time is None:
        raise ValueError(f"expected {POSITIONS}")
    return time


def parse_moment(text: str, now: datetime) -> datetime:
    """Parse a moment, in one of the forms that :data:`MOMENTS` describes.

    Raises:
        ValueError: the text has none of these forms.
    """
    if age := _AGE.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        except OverflowError:
            raise ValueError("there is no moment so long ago") from None
    time = parse_time(text)
    if time is None:
        raise ValueError(f"expected {MOMENTS}")
    return time


def parse_time(text: str) -> datetime | None:
    """Parse a time in ISO 8601, in UTC where it names no zone; None if it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
