from __future__ import annotations

import json

from lib.decode.engines.python import decode_value
from lib.synth import encode_record, iter_records
from lib.synth.telco import make_customers
from tests.support.telco import CUSTOMER

CUSTOMERS = make_customers(2_000, seed=2)


def test_every_record_is_valid() -> None:
    for record in iter_records(CUSTOMERS, CUSTOMER):
        assert decode_value(encode_record(record, CUSTOMER), CUSTOMER).violations == ()


def test_decoding_gives_the_customer_back() -> None:
    for record, row in zip(
        iter_records(CUSTOMERS, CUSTOMER), CUSTOMERS.to_dict(orient="records"), strict=True
    ):
        decoded = decode_value(encode_record(record, CUSTOMER), CUSTOMER)
        assert decoded.identifier == row["customerID"]
        total = float(row["TotalCharges"]) if row["TotalCharges"].strip() else 0.0
        expected = {name: row[name] for name in CUSTOMER.feature_names} | {"TotalCharges": total}
        assert decoded.features == expected


def test_total_charges_are_numbers_and_text_by_turns_and_blank_stays_text() -> None:
    records = list(iter_records(CUSTOMERS, CUSTOMER))
    kinds = {type(record["TotalCharges"]) for record in records[1::2]}
    assert kinds <= {float, str}
    for position, record in enumerate(records):
        total = record["TotalCharges"]
        is_text = position % 2 == 0 or record["tenure"] == 0
        assert isinstance(total, str) == is_text


def test_a_part_of_the_customers_gives_the_same_records() -> None:
    part = make_customers(3, seed=2, first=7)
    assert list(iter_records(part, CUSTOMER)) == list(iter_records(CUSTOMERS, CUSTOMER))[7:10]


def test_the_label_stays_at_home() -> None:
    assert "Churn" not in next(iter_records(CUSTOMERS, CUSTOMER))


def test_records_are_compact_json_of_about_500_bytes() -> None:
    value = encode_record(next(iter_records(CUSTOMERS, CUSTOMER)), CUSTOMER)
    assert b'": ' not in value
    assert 400 < len(value) < 600


def test_an_event_time_can_be_added() -> None:
    record = next(iter_records(CUSTOMERS, CUSTOMER))
    value = encode_record(record, CUSTOMER, event_time="2026-01-31T12:00:00.000Z")
    assert json.loads(value) == {**record, "event_ts": "2026-01-31T12:00:00.000Z"}
    assert decode_value(value, CUSTOMER).event_time == "2026-01-31T12:00:00.000Z"
