from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.decode.engines.python import decode_value
from lib.record.violations import MAX_FOUND_CHARS, Rule
from tests.support.records import ACCEPTED, BROKEN, VALID, record
from tests.support.telco import CUSTOMER

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(("value", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_record_lists_all_its_violations(
    value: bytes | None, expected: list[tuple[str, str]]
) -> None:
    decoded = decode_value(value, CUSTOMER)

    assert [(v.field, str(v.rule)) for v in decoded.violations] == expected
    assert decoded.features == {}


@pytest.mark.parametrize(("value", "changes"), ACCEPTED.values(), ids=ACCEPTED)
def test_an_accepted_record_is_typed(value: bytes, changes: dict[str, Any]) -> None:
    decoded = decode_value(value, CUSTOMER)

    expected = {**VALID, **changes}
    assert decoded.violations == ()
    assert decoded.identifier == expected["customerID"]
    assert decoded.event_time == changes.get("event_ts")
    assert decoded.features == {name: expected[name] for name in CUSTOMER.feature_names}
    assert isinstance(decoded.features["tenure"], int)
    assert isinstance(decoded.features["TotalCharges"], float)


def test_a_violation_says_what_was_found_and_expected() -> None:
    (violation,) = decode_value(record(tenure=-3), CUSTOMER).violations

    assert (violation.field, violation.rule) == ("tenure", Rule.OUT_OF_RANGE)
    assert violation.found == "-3"
    assert violation.expected == "an integer from 0 to 120"


def test_excerpts_are_short() -> None:
    (violation,) = decode_value(record(gender="x" * 5000), CUSTOMER).violations

    assert len(violation.found) == MAX_FOUND_CHARS


def test_deep_nesting_is_a_violation_not_a_crash() -> None:
    value = b'{"a":' * 10_000 + b"1" + b"}" * 10_000

    (violation,) = decode_value(value, CUSTOMER).violations

    assert violation.rule in (Rule.NOT_JSON, Rule.TOO_LARGE)


@given(st.binary(max_size=600))
def test_any_bytes_are_decided_without_an_exception(value: bytes) -> None:
    assert not decode_value(value, CUSTOMER).is_valid


@given(st.dictionaries(st.sampled_from([f.name for f in CUSTOMER.checked]), JSON_VALUES))
def test_a_valid_decision_means_valid_features(changes: dict[str, Any]) -> None:
    decoded = decode_value(json.dumps({**VALID, **changes}).encode(), CUSTOMER)

    for field in CUSTOMER.features if decoded.is_valid else ():
        value = decoded.features[field.name]
        if field.allowed:
            assert value in field.allowed
        else:
            low, high = field.range
            assert low <= float(value or 0) <= high


@given(st.integers(0, 200) | st.floats(0, 200))
def test_tenure_is_valid_exactly_within_its_range(tenure: float) -> None:
    decoded = decode_value(record(tenure=tenure), CUSTOMER)

    assert decoded.is_valid == (0 <= tenure <= 120 and float(tenure).is_integer())
