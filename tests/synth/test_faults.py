from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.decode.engines.python import decode_value
from lib.record.violations import Rule
from lib.synth import FAULTS, break_record, encode_record, iter_records
from lib.synth.telco import make_customers
from tests.support.telco import CUSTOMER

RECORDS = iter_records(make_customers(50, seed=6), CUSTOMER)
VALUES = [encode_record(record, CUSTOMER) for record in RECORDS]

# kind → the rules that it may break
EXPECTED = {
    "null value": {Rule.NULL_VALUE},
    "not JSON": {Rule.NOT_JSON},
    "truncated": {Rule.NOT_JSON},
    "invalid UTF-8": {Rule.NOT_UTF8},
    "no object": {Rule.NOT_OBJECT},
    "missing feature": {Rule.MISSING},
    "null feature": {Rule.MISSING},
    "value not allowed": {Rule.NOT_ALLOWED},
    "out of range": {Rule.OUT_OF_RANGE},
    "wrong type": {Rule.WRONG_TYPE},
    "NaN": {Rule.NOT_JSON},
    "Infinity": {Rule.NOT_JSON},
    "oversized": {Rule.TOO_LARGE},
}


def test_every_fault_is_expected_here() -> None:
    assert list(FAULTS) == list(EXPECTED)


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_broken_record_has_one_violation_of_the_right_rule(kind: str) -> None:
    rng = Random(1)
    found = set()
    for value in VALUES * 4:
        violations = decode_value(break_record(value, rng, CUSTOMER, kind), CUSTOMER).violations
        assert len(violations) == 1
        found.add(violations[0].rule)
    assert found == EXPECTED[kind]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), value=st.sampled_from(VALUES))
def test_no_broken_record_is_valid(seed: int, value: bytes) -> None:
    assert not decode_value(break_record(value, Random(seed), CUSTOMER), CUSTOMER).is_valid


def test_the_same_generator_gives_the_same_faults() -> None:
    assert [break_record(value, Random(3), CUSTOMER) for value in VALUES] == [
        break_record(value, Random(3), CUSTOMER) for value in VALUES
    ]


def test_all_kinds_are_drawn() -> None:
    rng = Random(0)
    rules = set()
    for value in VALUES * 4:
        violations = decode_value(break_record(value, rng, CUSTOMER), CUSTOMER).violations
        rules |= {violation.rule for violation in violations}
    assert rules == set().union(*EXPECTED.values())


def test_an_oversized_record_is_what_a_broker_just_takes() -> None:
    value = break_record(VALUES[0], Random(0), CUSTOMER, "oversized")
    assert value is not None
    assert len(value) == 900_000


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        break_record(VALUES[0], Random(0), CUSTOMER, "typo")
