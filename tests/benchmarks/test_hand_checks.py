"""The framework's program checks what a careful user would check: it is a fair opponent."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.hand_checks import find_violations

VALID: dict[str, Any] = {
    "customerID": "0000-CEXHR",
    "gender": "Female",
    "SeniorCitizen": 0,
    "Partner": "No",
    "Dependents": "No",
    "tenure": 60,
    "PhoneService": "Yes",
    "MultipleLines": "Yes",
    "InternetService": "DSL",
    "OnlineSecurity": "No",
    "OnlineBackup": "Yes",
    "DeviceProtection": "No",
    "TechSupport": "Yes",
    "StreamingTV": "Yes",
    "StreamingMovies": "Yes",
    "Contract": "One year",
    "PaperlessBilling": "No",
    "PaymentMethod": "Credit card (automatic)",
    "MonthlyCharges": 78.05,
    "TotalCharges": "4710.21",
    "event_ts": "2026-11-23T14:20:01.431Z",
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"TotalCharges": " "},
        {"TotalCharges": 4710.21},
        {"tenure": 60.0},
        {"MonthlyCharges": 78},
    ],
)
def test_a_valid_record_has_no_violation(change: dict[str, Any]) -> None:
    assert find_violations({**VALID, **change}) == []


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"customerID": 7}, "customerID: expected text like [A-Za-z0-9][A-Za-z0-9._:-]{0,63}"),
        ({"event_ts": "yesterday"}, "event_ts: expected an ISO 8601 timestamp"),
        ({"event_ts": None}, "event_ts: expected an ISO 8601 timestamp"),
        ({"gender": "female"}, "gender: expected one of Female, Male"),
        ({"gender": ["Female"]}, "gender: expected one of Female, Male"),
        ({"tenure": 121}, "tenure: expected an integer from 0 to 120"),
        ({"tenure": 1.5}, "tenure: expected an integer from 0 to 120"),
        ({"tenure": "12"}, "tenure: expected an integer from 0 to 120"),
        ({"SeniorCitizen": True}, "SeniorCitizen: expected an integer from 0 to 1"),
        ({"MonthlyCharges": None}, "MonthlyCharges: expected a finite number from 0 to 1000"),
        ({"MonthlyCharges": "20"}, "MonthlyCharges: expected a finite number from 0 to 1000"),
        (
            {"TotalCharges": "many"},
            "TotalCharges: expected a finite number from 0 to 120000 or a string holding one"
            " (blank means 0)",
        ),
    ],
)
def test_an_invalid_field_is_named(change: dict[str, Any], violation: str) -> None:
    assert find_violations({**VALID, **change}) == [violation]


def test_every_missing_field_is_named() -> None:
    assert len(find_violations({})) == len(VALID)
