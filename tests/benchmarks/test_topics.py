from __future__ import annotations

from benchmarks.topics import Count


def test_every_record_answered_once_is_right() -> None:
    assert Count(predictions=990, dead_letters=10, keys=1_000).check(1_000) is None


def test_a_missing_a_double_and_a_replaced_answer_are_wrong() -> None:
    expected = "expected 1000 of each"

    missing = Count(predictions=999, dead_letters=0, keys=999).check(1_000)
    assert missing == f"found 999 messages with 999 keys, {expected}"
    double = Count(predictions=1_001, dead_letters=0, keys=1_000).check(1_000)
    assert double == f"found 1001 messages with 1000 keys, {expected}"
    replaced = Count(predictions=1_000, dead_letters=0, keys=999).check(1_000)
    assert replaced == f"found 1000 messages with 999 keys, {expected}"
