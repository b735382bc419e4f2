from __future__ import annotations

import pytest

from benchmarks.loads import check_rate, find_rate, list_missing, name_load, read_maxima

NAMES = ("exactly-once", "hand-loop")


def test_a_rate_is_the_same_for_all_or_a_share_of_each_ones_maximum() -> None:
    assert find_rate("1000", None) == 1_000.0
    assert find_rate("1000", 50_000.0) == 1_000.0
    assert find_rate("50%", 50_000.0) == 25_000.0
    assert find_rate("12.5 %", 8_000.0) == 1_000.0


def test_nobody_is_offered_more_than_he_can_do() -> None:
    assert find_rate("10000", 10_527.0) == 10_000.0
    assert find_rate("10000", 10_526.0) is None
    assert find_rate("10000", 8_575.0) is None


def test_a_share_needs_a_maximum() -> None:
    with pytest.raises(ValueError, match="50% of an unknown maximum"):
        find_rate("50%", None)


@pytest.mark.parametrize("text", ["fast", "0", "0%", "100%", "-5", "1e3", "50 % of it", ""])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected records per second such as 1000, or a share"):
        check_rate(text)


def test_maxima_are_measured_only_where_a_share_needs_them() -> None:
    assert list_missing(["1000", "10000"], NAMES, {}) == []
    assert list_missing(["1000", "50%"], NAMES, {}) == ["exactly-once", "hand-loop"]
    assert list_missing(["50%"], NAMES, {"hand-loop": 80_000.0}) == ["exactly-once"]


def test_known_maxima_are_read() -> None:
    assert read_maxima(["hand-loop=87500", "exactly-once=97000.5"], NAMES) == {
        "hand-loop": 87_500.0,
        "exactly-once": 97_000.5,
    }


@pytest.mark.parametrize("text", ["hand-loop", "loop=1000", "hand-loop=fast", "hand-loop=0"])
def test_what_is_no_maximum_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with one of exactly-once, hand-loop"):
        read_maxima([text], NAMES)


def test_a_load_is_a_heading() -> None:
    assert name_load("10000") == "10,000 records/s"
    assert name_load("50%") == "50 % of each contestant's own maximum"
