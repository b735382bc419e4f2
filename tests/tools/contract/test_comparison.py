"""The comparison of two contracts names and judges each difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lib.record.contract import Contract, Field, Kind, OutputNames
from lib.record.contract_file import read_contract
from lib.tools.contract.comparison import Change, compare_contracts
from tests.record.test_contract_file import LOAN

OLD = read_contract(LOAN)


def with_feature(name: str, **changes: Any) -> Contract:
    features = tuple(replace(it, **changes) if it.name == name else it for it in OLD.features)
    return replace(OLD, features=features)


CASES = {
    "wider range": (
        with_feature("amount", maximum=60_000),
        Change(
            "feature amount: a finite number from 500 to 50000 → a finite number from 500 to 60000",
            records_fit=True,
            models_fit=False,
        ),
    ),
    "narrower range": (
        with_feature("children", maximum=10),
        Change(
            "feature children: an integer from 0 to 20 → an integer from 0 to 10",
            records_fit=False,
            models_fit=False,
        ),
    ),
    "one value more": (
        with_feature("purpose", allowed=("car", "home", "holiday", "other", "boat")),
        Change("feature purpose: values with boat", records_fit=True, models_fit=False),
    ),
    "one value less": (
        with_feature("purpose", allowed=("car", "home", "other")),
        Change("feature purpose: values without holiday", records_fit=False, models_fit=False),
    ),
    "not nullable any more": (
        with_feature("income", nullable=False),
        Change("feature income: may not be missing any more", records_fit=False, models_fit=False),
    ),
    "nullable now": (
        with_feature("amount", nullable=True),
        Change("feature amount: may be missing", records_fit=True, models_fit=False),
    ),
    "integer to number": (
        with_feature("months", kind=Kind.NUMBER),
        Change("feature months: integer → number", records_fit=True, models_fit=False),
    ),
    "no text for a number": (
        with_feature("months", numeric_text=False),
        Change(
            "feature months: may not come as text any more", records_fit=False, models_fit=False
        ),
    ),
    "another place": (
        with_feature("income", path=("income",)),
        Change("feature income: at applicant.income → income", records_fit=False, models_fit=True),
    ),
    "a feature gone": (
        replace(OLD, features=OLD.features[1:]),
        Change("feature purpose: gone", records_fit=True, models_fit=False),
    ),
    "a feature more": (
        replace(OLD, features=(*OLD.features, Field("age", Kind.INTEGER, "", 18))),
        Change("feature age: added", records_fit=False, models_fit=False),
    ),
    "another order": (
        replace(OLD, features=OLD.features[::-1]),
        Change("the order of the features", records_fit=True, models_fit=False),
    ),
    "smaller records": (
        replace(OLD, max_bytes=100),
        Change("max_bytes: 16,384 → 100", records_fit=False, models_fit=True),
    ),
    "another name in the answer": (
        replace(OLD, output=OutputNames("application_id", "risk", "expected_outcome")),
        Change(
            "output.probability: default_probability → risk; readers of predictions have to follow",
            records_fit=True,
            models_fit=True,
        ),
    ),
    "the other class": (
        replace(OLD, positive_label="repaid"),
        Change(
            "label: outcome (repaid or defaulted) → outcome (defaulted or repaid)",
            records_fit=True,
            models_fit=False,
        ),
    ),
    "no event time": (
        replace(OLD, event_time=None),
        Change("event_time applied_at: gone", records_fit=True, models_fit=True),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_named_and_judged(case: str) -> None:
    new, change = CASES[case]

    assert compare_contracts(OLD, new) == [change]


@pytest.mark.parametrize("case", CASES)
def test_a_model_fits_where_the_fingerprint_stays(case: str) -> None:
    new, change = CASES[case]

    assert (new.fingerprint == OLD.fingerprint) == change.models_fit


def test_prose_is_no_change() -> None:
    assert compare_contracts(OLD, with_feature("amount", description="else", unit="USD")) == []
