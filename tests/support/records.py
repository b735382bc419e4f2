"""Define records for tests: a valid one, variations of it, and broken ones."""

from __future__ import annotations

import json
from typing import Any

from tests.support.telco import CUSTOMER

VALID: dict[str, Any] = {
    "customerID": "7590-VHVEG",
    "gender": "Female",
    "SeniorCitizen": 0,
    "Partner": "Yes",
    "Dependents": "No",
    "tenure": 1,
    "PhoneService": "No",
    "MultipleLines": "No phone service",
    "InternetService": "DSL",
    "OnlineSecurity": "No",
    "OnlineBackup": "Yes",
    "DeviceProtection": "No",
    "TechSupport": "No",
    "StreamingTV": "No",
    "StreamingMovies": "No",
    "Contract": "Month-to-month",
    "PaperlessBilling": "Yes",
    "PaymentMethod": "Electronic check",
    "MonthlyCharges": 29.85,
    "TotalCharges": 29.85,
}


def record(**changes: Any) -> bytes:
    """Return the valid record with some fields changed or added."""
    return json.dumps({**VALID, **changes}).encode()


def record_without(*fields: str) -> bytes:
    """Return the valid record without some fields."""
    return json.dumps({name: VALID[name] for name in VALID if name not in fields}).encode()


def record_with_raw(name: str, token: bytes) -> bytes:
    """Return the valid record with one field's JSON replaced by any bytes."""
    marker = "\u0001"
    text = json.dumps({**VALID, name: marker}).encode()
    return text.replace(json.dumps(marker).encode(), token)


_WHOLE = record()
_TOO_LARGE = CUSTOMER.max_bytes + 1

# value → the (field, rule) pairs of its violations, in order
BROKEN: dict[str, tuple[bytes | None, list[tuple[str, str]]]] = {
    "tombstone": (None, [("", "null_value")]),
    "empty": (b"", [("", "not_json")]),
    "white space": (b" \n\t", [("", "not_json")]),
    "not JSON": (b"hello", [("", "not_json")]),
    "truncated": (_WHOLE[:-1], [("", "not_json")]),
    "truncated early": (_WHOLE[:60], [("", "not_json")]),
    "second object behind": (_WHOLE + _WHOLE, [("", "not_json")]),
    "word behind": (_WHOLE + b" x", [("", "not_json")]),
    "brace behind": (_WHOLE + b"}", [("", "not_json")]),
    "zero byte behind": (_WHOLE + b"\x00", [("", "not_json")]),
    "comma at the end": (_WHOLE[:-1] + b",}", [("", "not_json")]),
    "single quotes": (_WHOLE.replace(b'"', b"'"), [("", "not_json")]),
    "end of an array behind text": (b'"No"], "Partner": "Yes"}' + _WHOLE, [("", "not_json")]),
    "end of an array behind an array": (b'["No"]],"Partner":"Yes"}', [("", "not_json")]),
    "values and the end of an array": (b"1,2],[", [("", "not_json")]),
    "two values": (b"1,2", [("", "not_json")]),
    "byte-order mark": (b"\xef\xbb\xbf" + _WHOLE, [("", "not_json")]),
    "NaN": (record_with_raw("tenure", b"NaN"), [("", "not_json")]),
    "Infinity": (record_with_raw("MonthlyCharges", b"Infinity"), [("", "not_json")]),
    "NaN in an unknown field": (record_with_raw("note", b"NaN"), [("", "not_json")]),
    "invalid UTF-8": (_WHOLE.replace(b"Female", b"\xff\xfe"), [("", "not_utf8")]),
    "not text at all": (b"\xff\xfe\xfd", [("", "not_utf8")]),
    "array": (b"[" + _WHOLE + b"]", [("", "not_object")]),
    "number": (b"3", [("", "not_object")]),
    "string": (b'"customer"', [("", "not_object")]),
    "null": (b"null", [("", "not_object")]),
    "too large": (record(note="x" * _TOO_LARGE), [("", "too_large")]),
    "900 kB": (b"x" * 900_000, [("", "too_large")]),
    "empty object": (
        b"{}",
        [(f.name, "missing") for f in CUSTOMER.checked if not f.nullable],
    ),
    "missing feature": (record_without("gender"), [("gender", "missing")]),
    "missing identifier": (record_without("customerID"), [("customerID", "missing")]),
    "null feature": (record(tenure=None), [("tenure", "missing")]),
    "unknown category": (record(Contract="Three year"), [("Contract", "not_allowed")]),
    "category in other case": (record(gender="female"), [("gender", "not_allowed")]),
    "category as number": (record(Partner=1), [("Partner", "wrong_type")]),
    "category as list": (record(Partner=["Yes"]), [("Partner", "wrong_type")]),
    "category as boolean": (record(Partner=True), [("Partner", "wrong_type")]),
    "negative tenure": (record(tenure=-1), [("tenure", "out_of_range")]),
    "tenure too long": (record(tenure=121), [("tenure", "out_of_range")]),
    "tenure as string": (record(tenure="12"), [("tenure", "wrong_type")]),
    "tenure with fraction": (record(tenure=1.5), [("tenure", "wrong_type")]),
    "tenure as boolean": (record(tenure=True), [("tenure", "wrong_type")]),
    "tenure beyond float": (record(tenure=10**400), [("tenure", "out_of_range")]),
    "charges beyond float": (
        record_with_raw("MonthlyCharges", b"1e999"),
        [("MonthlyCharges", "out_of_range")],
    ),
    "charges as object": (record(TotalCharges={"usd": 5}), [("TotalCharges", "wrong_type")]),
    "charges in words": (record(TotalCharges="many"), [("TotalCharges", "wrong_type")]),
    "charges as NaN text": (record(TotalCharges="NaN"), [("TotalCharges", "wrong_type")]),
    "charges as Java double": (record(TotalCharges="12d"), [("TotalCharges", "wrong_type")]),
    "charges as hexadecimal": (record(TotalCharges="0x1p3"), [("TotalCharges", "wrong_type")]),
    "negative charges text": (record(TotalCharges="-5"), [("TotalCharges", "out_of_range")]),
    "identifier as number": (record(customerID=7590), [("customerID", "wrong_type")]),
    "identifier as boolean": (record(customerID=True), [("customerID", "wrong_type")]),
    "empty identifier": (record(customerID=""), [("customerID", "malformed")]),
    "identifier with a line break": (record(customerID="7590\n"), [("customerID", "malformed")]),
    "event time in words": (record(event_ts="yesterday"), [("event_ts", "malformed")]),
    "event time as number": (record(event_ts=1700000000), [("event_ts", "wrong_type")]),
    **{
        f"event time {text}": (record(event_ts=text), [("event_ts", "malformed")])
        for text in (
            *("2026-02-30T00:00:00Z", "2026-02-29", "1900-02-29", "2026-04-31T12:00:00Z"),
            *("2026-06-31", "2026-09-31", "2026-11-31", "2026-12-32", "2026-13-01", "2026-00-10"),
            *("2026-01-00", "0000-01-01T00:00:00Z", "-001-01-01", "10000-01-01", "026-01-01"),
            *("2026-01-02T24:00:00Z", "2016-12-31T23:59:60Z", "2026-01-02T03:60Z"),
            *("2026-01-02T03:04:05+18:01", "2026-01-02T03:04:05-19:00", "2026-01-02T03:04+99:99"),
            *("2026-01-02T03:04:05+02:60", "2026-01-02T03:04:05+1801", "2026-01-02T03:04:05Z\n"),
        )
    },
    "several at once": (
        record(gender="X", tenure=-1, MonthlyCharges="29", TotalCharges=None),
        [
            ("gender", "not_allowed"),
            ("tenure", "out_of_range"),
            ("MonthlyCharges", "wrong_type"),
            ("TotalCharges", "missing"),
        ],
    ),
}

# value → what differs from the decoded form of VALID
ACCEPTED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "as it is": (_WHOLE, {}),
    "white space around": (b" \n" + _WHOLE + b"\r\n\t ", {}),
    "unknown fields": (record(note={"a": [1, {"b": None}]}), {}),
    "label": (record(Churn="Yes"), {}),
    "charges as text": (record(TotalCharges="600.5"), {"TotalCharges": 600.5}),
    "charges as padded text": (record(TotalCharges=" 600.5 "), {"TotalCharges": 600.5}),
    "charges with exponent": (record(TotalCharges="6e2"), {"TotalCharges": 600.0}),
    "charges as integer": (record(TotalCharges=600), {"TotalCharges": 600.0}),
    "charges blank": (record(TotalCharges=" "), {"TotalCharges": 0.0}),
    "charges empty": (record(TotalCharges=""), {"TotalCharges": 0.0}),
    "tenure as 5.0": (record(tenure=5.0), {"tenure": 5}),
    "numeric identifier as text": (record(customerID="7590"), {"customerID": "7590"}),
    "field twice, last counts": (
        record_with_raw("tenure", b'7, "tenure": 9'),
        {"tenure": 9},
    ),
    "event time": (
        record(event_ts="2026-01-02T03:04:05.678Z"),
        {"event_ts": "2026-01-02T03:04:05.678Z"},
    ),
    "event time with offset": (
        record(event_ts="2026-01-02 03:04:05+02:00"),
        {"event_ts": "2026-01-02 03:04:05+02:00"},
    ),
    **{
        f"event time {text}": (record(event_ts=text), {"event_ts": text})
        for text in (
            *("2024-02-29", "2000-02-29T23:59Z", "0004-02-29", "0001-01-01T00:00:00Z"),
            *("9999-12-31T23:59:59.999999999Z", "2026-01-31", "2026-04-30", "2026-12-31T00:00"),
            *("2026-01-02T03:04:05+18:00", "2026-01-02T03:04:05-1800", "2026-01-02T03:04+05:45"),
        )
    },
    "event time null": (record(event_ts=None), {}),
}
