from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lib.decode.engines.python import check_record
from lib.record.checks import check_value
from lib.record.contract import Kind
from lib.record.violations import Rule
from lib.setup.places import PROJECT_ROOT
from tests.support.telco import CUSTOMER


def test_the_customer_has_19_features_in_the_order_of_the_data_set() -> None:
    assert CUSTOMER.feature_names == (
        *("gender", "SeniorCitizen", "Partner", "Dependents", "tenure", "PhoneService"),
        *("MultipleLines", "InternetService", "OnlineSecurity", "OnlineBackup"),
        *("DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies", "Contract"),
        *("PaperlessBilling", "PaymentMethod", "MonthlyCharges", "TotalCharges"),
    )
    assert len(CUSTOMER.categorical) == 15
    assert [field.name for field in CUSTOMER.numeric] == [
        *("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges")
    ]


def test_stand_ins_are_valid_themselves() -> None:
    customer = {**CUSTOMER.stand_ins, CUSTOMER.identifier.name: CUSTOMER.identifier.stand_in}

    assert check_record(customer, CUSTOMER).violations == ()


def test_the_event_times_stand_in_matches_its_pattern() -> None:
    time = CUSTOMER.event_time

    assert time is not None
    assert time.pattern is not None
    assert re.fullmatch(time.pattern, str(time.stand_in))


def test_fingerprint_changes_with_what_a_model_depends_on() -> None:
    gender = CUSTOMER.features[0]
    wider = replace(gender, allowed=(*gender.allowed, "Other"))
    described = replace(gender, description="anything else")

    def with_gender(field: object) -> str:
        return replace(CUSTOMER, features=(field, *CUSTOMER.features[1:])).fingerprint  # type: ignore[arg-type]

    assert with_gender(wider) != CUSTOMER.fingerprint
    assert with_gender(described) == CUSTOMER.fingerprint


def test_expected_names_values_ranges_and_exceptions() -> None:
    assert CUSTOMER.field("gender").expected == 'one of "Female", "Male"'
    assert CUSTOMER.field("tenure").expected == "an integer from 0 to 120"
    assert CUSTOMER.field("TotalCharges").expected == (
        "a finite number from 0 to 120000 or a string holding one (blank means 0)"
    )


def test_an_open_range_ends_before_infinity() -> None:
    field = replace(CUSTOMER.field("tenure"), maximum=None)

    assert field.range == (0.0, 9007199254740992.0)
    assert check_value(float("inf"), field) == (None, Rule.OUT_OF_RANGE)
    assert field.expected == "an integer from 0 on"


def test_unknown_field_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="age"):
        CUSTOMER.field("age")


def test_every_category_lists_its_values_and_every_number_its_range() -> None:
    for field in CUSTOMER.features:
        if field.kind is Kind.CATEGORY:
            assert len(field.allowed) >= 2, field.name
        else:
            assert field.minimum is not None, field.name
            assert field.maximum is not None, field.name


def test_the_documented_table_is_the_contract() -> None:
    document = PROJECT_ROOT / "docs" / "contract.md"

    assert CUSTOMER.to_markdown() in document.read_text()
