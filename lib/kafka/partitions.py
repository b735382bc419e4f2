"""Parses lists of partitions: ``all``, ``0-31`` or ``0,2,5-7``. Pure."""

from __future__ import annotations

import re

ALL_PARTITIONS = "all"
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
