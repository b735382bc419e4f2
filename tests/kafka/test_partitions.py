from __future__ import annotations

import pytest

from lib.kafka.partitions import parse_partitions


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
