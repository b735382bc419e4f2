"""Broken records are mixed among valid ones."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.decode.engines.python import decode_value
from lib.synth import FAULTS
from lib.tools.produce.mixture import Message, iter_kinds, mix_messages
from lib.tools.produce.records import KeyedRecord
from tests.support.records import record
from tests.support.telco import CUSTOMER

NOON = datetime(2026, 1, 2, 12, 0, 0, 345678, tzinfo=UTC)


def mix(count: int, bad_share: float, seed: int = 1) -> list[Message]:
    customers = [KeyedRecord(str(number).encode(), record()) for number in range(count)]
    mixed = mix_messages(customers, CUSTOMER, bad_share=bad_share, seed=seed, clock=lambda: NOON)
    return list(mixed)


def test_a_valid_record_gets_the_time_of_sending() -> None:
    (message,) = mix(1, bad_share=0.0)

    assert (message.key, message.fault) == (b"0", None)
    assert message.value is not None
    assert json.loads(message.value) == json.loads(record()) | {
        "event_ts": "2026-01-02T12:00:00.345Z"
    }


def test_the_time_is_asked_for_when_a_message_is_taken() -> None:
    moments = iter([NOON, NOON.replace(hour=13)])
    customers = [KeyedRecord(b"a", record()), KeyedRecord(b"b", record())]
    messages = mix_messages(customers, CUSTOMER, bad_share=0, seed=1, clock=lambda: next(moments))

    next(messages)
    assert next(moments) == NOON.replace(hour=13)


def test_messages_are_valid_or_broken_as_they_say() -> None:
    for message in mix(300, bad_share=0.5):
        assert decode_value(message.value, CUSTOMER).is_valid == (message.fault is None)


@pytest.mark.parametrize(
    ("count", "share", "broken"),
    [(20_000, 0.01, 200), (100, 0.29, 29), (1_000, 1.0, 1_000), (1_000, 0.0, 0), (3, 0.5, 2)],
)
def test_the_share_is_exact(count: int, share: float, broken: int) -> None:
    assert sum(message.fault is not None for message in mix(count, share)) == broken


@given(st.integers(1, 400), st.decimals(0, 1, places=3))
def test_any_share_is_rounded_to_the_nearest_record(count: int, share: object) -> None:
    exact = count * float(str(share))
    broken = sum(message.fault is not None for message in mix(count, float(str(share))))

    assert abs(broken - exact) <= 0.5 + 1e-9


def test_broken_records_are_evenly_spread() -> None:
    places = [number for number, message in enumerate(mix(1_000, 0.05)) if message.fault]

    assert {after - before for before, after in pairwise(places)} == {20}


def test_every_kind_comes_in_turn_and_bulky_ones_rarely() -> None:
    kinds = Counter(islice(iter_kinds(CUSTOMER), 10 * (len(FAULTS) - 1) + 1))

    assert kinds.pop("oversized") == 1
    assert set(kinds.values()) == {10}
    assert kinds.keys() == FAULTS.keys() - {"oversized"}


def test_the_seed_decides_everything() -> None:
    assert mix(500, 0.3, seed=5) == mix(500, 0.3, seed=5)
    assert mix(500, 0.3, seed=5) != mix(500, 0.3, seed=6)


def test_a_tombstone_keeps_its_key() -> None:
    tombstone = next(message for message in mix(100, 1.0) if message.fault == "null value")

    assert tombstone.value is None
    assert tombstone.key
