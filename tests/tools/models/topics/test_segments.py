"""Pairs are divided by the score, or by fields of the records that are found again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lib.errors import SettingsError
from lib.record.contract import Field, Kind
from lib.synth.telco import make_customers
from lib.tools.models.topics.segments import (
    RecordJoin,
    check_fields,
    divide_by_field,
    divide_by_score,
)
from tests.support.telco import CUSTOMER

RECORD = next(
    {**it, "customerID": "C1", "tenure": 12, "Contract": "One year"}
    for it in json.loads(
        make_customers(1, 1).drop(columns="Churn", errors="ignore").to_json(orient="records")
    )
)


def encode(**change: object) -> bytes:
    return json.dumps({**RECORD, **change}).encode()


def test_scores_are_divided_into_tenths() -> None:
    found = divide_by_score(np.array([0.0, 0.099999, 0.1, 0.95, 1.0]))

    assert [found.values[code] for code in found.codes] == [
        *("0.0 to 0.1", "0.0 to 0.1", "0.1 to 0.2", "0.9 to 1.0", "0.9 to 1.0")
    ]


def test_a_category_keeps_the_order_of_the_contract() -> None:
    field = CUSTOMER.field("Contract")
    found = divide_by_field(["Two year", None, "One year", None], [True, True, True, False], field)

    assert found.values == ["Month-to-month", "One year", "Two year", "(missing)"]
    assert found.codes.tolist() == [2, 3, 1, -1]


def test_a_number_of_few_values_has_a_segment_for_each() -> None:
    found = divide_by_field([1, 0, 1], [True] * 3, CUSTOMER.field("SeniorCitizen"))

    assert (found.values, found.codes.tolist()) == (["0", "1", "(missing)"], [1, 0, 1])


def test_a_boolean_is_spelled_as_in_json() -> None:
    field = Field("is_new", Kind.BOOLEAN, "", False)
    assert divide_by_field([1, 0], [True] * 2, field).values == ["false", "true", "(missing)"]


def test_a_number_of_many_values_is_divided_into_quarters() -> None:
    values = [float(it) for it in range(1, 101)]
    found = divide_by_field([*values, None], [True] * 101, CUSTOMER.field("tenure"))

    assert found.values == [
        *("1 to 25.75", "25.75 to 50.5", "50.5 to 75.25", "75.25 to 100", "(missing)")
    ]
    assert np.bincount(found.codes).tolist() == [25, 25, 25, 25, 1]


@pytest.mark.parametrize("name", ["customerID", "Churn", "nothing"])
def test_a_field_that_divides_nothing_is_refused(name: str) -> None:
    check_fields(["Contract", "tenure"], CUSTOMER)
    with pytest.raises(SettingsError, match=f"--segments {name}: expected a field .*Contract"):
        check_fields(["Contract", name], CUSTOMER)


def find(*messages: tuple[bytes, int], time: str | None) -> RecordJoin:
    join = RecordJoin([(b"C1", "C1", time)], ["Contract", "tenure"], CUSTOMER)
    for value, timestamp_ms in messages:
        join.add(b"C1", value, timestamp_ms)
    return join


def test_a_record_is_found_by_its_event_time() -> None:
    time = "2026-11-23T14:20:01.431+01:00"
    join = find((encode(event_ts="2026-11-23"), 1), (encode(event_ts=time), 2), time=time)

    assert join.is_complete
    assert join.found == {(b"C1", "C1", time): ("One year", 12)}


def test_a_record_without_event_time_is_found_by_its_kafka_timestamp() -> None:
    time = "2026-11-23T14:20:01.431Z"
    join = find((encode(tenure=1), 1795443601430), (encode(), 1795443601431), time=time)

    assert join.found == {(b"C1", "C1", time): ("One year", 12)}


def test_a_record_without_any_time_is_found_too() -> None:
    assert find((encode(), -1), time=None).found == {(b"C1", "C1", None): ("One year", 12)}


def test_records_with_other_values_are_not_told_apart() -> None:
    time = "2026-11-23"
    same, other = encode(event_ts=time), encode(event_ts=time, tenure=13)

    assert find((same, 1), (same, 2), time=time).found[b"C1", "C1", time] == ("One year", 12)
    assert find((same, 1), (other, 2), time=time).found[b"C1", "C1", time] is None


def test_other_keys_and_invalid_records_are_passed_over() -> None:
    join = RecordJoin([(b"C1", "C1", "2026-11-23")], ["tenure"], CUSTOMER)
    join.add(b"C2", encode(event_ts="2026-11-23"), 1)
    join.add(b"C1", encode(event_ts="2026-11-23", tenure=-1), 1)
    join.add(b"C1", b"{", 1)
    join.add(b"C1", None, 1)

    assert (join.found, join.is_complete) == ({}, False)
