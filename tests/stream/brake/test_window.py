"""The share of dead letters is taken over each stretch of records, in the order they came."""

from __future__ import annotations

import numpy as np
import pytest

from lib.stream.brake.window import (
    Excess,
    Limit,
    Outcomes,
    find_excess,
    keep_last,
    order_records,
    spread,
)


def outcomes(text: str) -> Outcomes:
    """Read a dead letter for each x."""
    return np.array([it == "x" for it in text], np.bool_)


def spell(found: Outcomes) -> str:
    return "".join("x" if it else "." for it in found)


@pytest.mark.parametrize(
    ("recent", "new", "dead", "last"),
    [
        # Limit: 2 of 10.
        (".........x", "x", None, None),
        ("........xx", "x", 3, 0),
        # The oldest record leaves the stretch as a new one comes.
        ("xx........", "x", None, None),
        ("xx........", ".x", None, None),
        (".xx.......", "x", 3, 0),
        (".xx.......", ".x", None, None),
        # A stretch within the new ones, and the worst of several.
        ("", "..........xxx.......", 3, 12),
        ("", "xxx.......xxxxx.....", 5, 14),
        ("..........", "xxx.......", 3, 2),
        # Evenly spread, two of ten are not more than a fifth.
        ("", "x....x....x....x....", None, None),
        # Fewer than ten records are not judged, whatever they are.
        ("", "xxxxxxxxx", None, None),
        ("xxxx", "xxxxx", None, None),
        ("xxxxx", "xxxxx", 10, 4),
        ("xxxxxxxx", ".x", 9, 1),
        ("", "xxxxxxxxxx", 10, 9),
        # Records are judged once: each stretch ends with a new one.
        ("xxxxxxxxxx", "", None, None),
        ("xxx.......", "........", None, None),
        # Predictions are never too many: the records before are answered.
        ("xxxx......", ".", None, None),
        ("xxxxxxxxx", ".........", None, None),
        ("xxxxxxxxxx", "....x", 6, 4),
    ],
)
def test_a_stretch_with_more_dead_letters_than_allowed_is_found(
    recent: str, new: str, dead: int | None, last: int | None
) -> None:
    found = find_excess(outcomes(recent), outcomes(new), Limit(0.2, 10))

    assert found == (None if dead is None or last is None else Excess(dead, last))


@pytest.mark.parametrize(
    ("share", "over", "allowed"),
    [(0.2, 1_000, 200), (0.29, 100, 29), (0.07, 100, 7), (0.015, 1_000, 15), (0.05, 10, 0)],
)
def test_the_limit_is_a_number_of_records(share: float, over: int, allowed: int) -> None:
    assert Limit(share, over).allowed == allowed


@pytest.mark.parametrize(
    ("recent", "new", "kept"),
    [
        ("", "", ""),
        ("x", "..", "x.."),
        ("xx", "...", "x..."),
        ("xxxx", "", "xxxx"),
        ("xxxx", ".", "xxx."),
        ("xxxx", "......x", "...x"),
    ],
)
def test_the_last_records_are_kept(recent: str, new: str, kept: str) -> None:
    assert spell(keep_last(outcomes(recent), outcomes(new), 4)) == kept


@pytest.mark.parametrize(
    ("records", "dead", "expected"),
    [(0, 0, ""), (3, 0, "..."), (4, 4, "xxxx"), (6, 2, "..x..x"), (5, 1, "....x"), (4, 3, ".xxx")],
)
def test_counts_are_spread_evenly(records: int, dead: int, expected: str) -> None:
    assert spell(spread(records, dead)) == expected


@pytest.mark.parametrize(
    ("partitions", "order"),
    [
        ([], None),
        ([3, 3, 3], None),
        ([0, 0, 1, 1], [0, 2, 1, 3]),
        ([0, 0, 0, 0, 5], [0, 1, 4, 2, 3]),
        ([1, 1, 0, 0], [0, 2, 1, 3]),
        # Rows of two partitions may be mixed already.
        ([0, 1, 0, 1], [0, 1, 2, 3]),
    ],
)
def test_partitions_are_put_side_by_side(partitions: list[int], order: list[int] | None) -> None:
    found = order_records(np.array(partitions, np.int32))

    assert (None if found is None else found.tolist()) == order
