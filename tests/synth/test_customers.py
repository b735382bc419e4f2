from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sklearn.model_selection import cross_val_score

from lib.errors import SettingsError
from lib.synth.telco import BLOCK_ROWS, iter_customers, make_customers, tables
from lib.synth.telco.identifiers import MAX_INDEX, make_identifiers
from lib.training.data import clean_table
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from tests.support.telco import CUSTOMER

# All tests of shares use the same customers, because drawing them takes half a second.
CUSTOMERS = make_customers(100_000, seed=1)


def share(field: str, value: object) -> float:
    return float((CUSTOMERS[field] == value).mean())


def test_columns_are_identifier_features_label() -> None:
    assert list(CUSTOMERS.columns) == ["customerID", *CUSTOMER.feature_names, "Churn"]


def test_a_hundred_thousand_customers_satisfy_the_contract() -> None:
    data = clean_table(CUSTOMERS.astype(str), CUSTOMER, place="synthetic", origin={})
    assert data.rows == 100_000


def test_identifiers_look_right_and_are_all_different() -> None:
    identifiers = CUSTOMERS["customerID"]
    assert identifiers.str.fullmatch(r"\d{4}-[A-Z]{5}").all()
    assert identifiers.str.fullmatch(CUSTOMER.identifier.pattern or "").all()
    assert identifiers.is_unique


def test_millions_of_identifiers_are_all_different() -> None:
    assert pd.Series(make_identifiers(np.arange(2_000_000), seed=5)).is_unique


def test_identifiers_do_not_wrap_around() -> None:
    with pytest.raises(SettingsError, match="expected fewer than"):
        make_identifiers(np.array([MAX_INDEX]), seed=0)


def test_the_same_seed_gives_the_same_customers() -> None:
    assert_frame_equal(make_customers(100, seed=3), make_customers(100, seed=3))


def test_another_seed_gives_others() -> None:
    first, other = make_customers(100, seed=3), make_customers(100, seed=4)
    assert not first["customerID"].isin(other["customerID"]).any()
    assert not first["MonthlyCharges"].equals(other["MonthlyCharges"])


@pytest.mark.parametrize(
    ("first", "count"), [(0, 1), (5, 10), (BLOCK_ROWS - 1, 2), (BLOCK_ROWS, 3), (10_000, 10_000)]
)
def test_a_row_does_not_depend_on_how_many_are_asked_for(first: int, count: int) -> None:
    part = make_customers(count, seed=1, first=first)
    assert_frame_equal(part, CUSTOMERS.iloc[first : first + count])


def test_blocks_are_the_rows_in_order() -> None:
    blocks = list(iter_customers(20_000, seed=1, first=100))
    assert max(map(len, blocks)) == BLOCK_ROWS
    assert_frame_equal(pd.concat(blocks), CUSTOMERS.iloc[100:20_100])


def test_no_customers_are_an_empty_frame_of_the_same_columns() -> None:
    assert_frame_equal(make_customers(0, seed=1), CUSTOMERS.iloc[:0], check_index_type=False)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**63), first=st.integers(0, 10_000_000))
def test_any_seed_satisfies_the_contract(seed: int, first: int) -> None:
    customers = make_customers(200, seed, first=first)
    assert clean_table(customers.astype(str), CUSTOMER, place="synthetic", origin={}).rows == 200


# These are the shares of the public data set.
@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("Churn", "Yes", 0.265),
        ("SeniorCitizen", 1, 0.162),
        ("Partner", "Yes", 0.483),
        ("Dependents", "Yes", 0.300),
        ("PhoneService", "No", 0.097),
        ("MultipleLines", "Yes", 0.422),
        ("InternetService", "Fiber optic", 0.440),
        ("InternetService", "No", 0.217),
        ("OnlineSecurity", "Yes", 0.287),
        ("TechSupport", "Yes", 0.290),
        ("StreamingMovies", "Yes", 0.388),
        ("Contract", "Month-to-month", 0.550),
        ("Contract", "Two year", 0.241),
        ("PaperlessBilling", "Yes", 0.592),
        ("PaymentMethod", "Electronic check", 0.336),
    ],
)
def test_shares_are_those_of_the_real_data(field: str, value: object, expected: float) -> None:
    assert share(field, value) == pytest.approx(expected, abs=0.012)


def test_charges_and_tenure_are_distributed_like_the_real_ones() -> None:
    total = pd.to_numeric(CUSTOMERS["TotalCharges"].replace(" ", "0"))
    assert CUSTOMERS["tenure"].mean() == pytest.approx(32.4, abs=0.5)
    assert CUSTOMERS["MonthlyCharges"].mean() == pytest.approx(64.8, abs=0.5)
    assert CUSTOMERS["MonthlyCharges"].std() == pytest.approx(30.1, abs=0.5)
    assert total.mean() == pytest.approx(2280, abs=40)
    assert total.std() == pytest.approx(2267, abs=40)
    assert CUSTOMERS["tenure"].corr(CUSTOMERS["MonthlyCharges"]) == pytest.approx(0.25, abs=0.02)


def test_churn_falls_with_the_term_of_the_contract() -> None:
    churn = (CUSTOMERS["Churn"] == "Yes").groupby(CUSTOMERS["Contract"]).mean()
    assert churn["Month-to-month"] == pytest.approx(0.427, abs=0.02)
    assert churn["One year"] == pytest.approx(0.113, abs=0.02)
    assert churn["Two year"] == pytest.approx(0.028, abs=0.02)


def test_total_charges_are_blank_in_month_zero_and_text_elsewhere() -> None:
    blank = CUSTOMERS["TotalCharges"] == " "
    assert blank.mean() == pytest.approx(0.0015, abs=0.0005)
    assert (blank == (CUSTOMERS["tenure"] == 0)).all()
    assert {type(text) for text in CUSTOMERS["TotalCharges"]} == {str}


def test_the_first_bill_is_the_total() -> None:
    newcomers = CUSTOMERS[CUSTOMERS["tenure"] == 1]
    assert (newcomers["TotalCharges"].astype(float) == newcomers["MonthlyCharges"]).all()


def test_add_ons_need_their_line() -> None:
    offline = CUSTOMERS[CUSTOMERS["InternetService"] == "No"]
    for name, add_on in tables.ADD_ONS.items():
        if add_on.line == "InternetService":
            assert offline[name].eq("No internet service").all()
            assert (CUSTOMERS[name] == "No internet service").sum() == len(offline)
    no_phone = CUSTOMERS["PhoneService"] == "No"
    assert (no_phone == (CUSTOMERS["MultipleLines"] == "No phone service")).all()
    assert CUSTOMERS.loc[no_phone, "InternetService"].eq("DSL").all()


def test_the_model_reaches_the_roc_auc_of_the_real_data() -> None:
    customers = CUSTOMERS.iloc[:20_000]
    features = customers[list(CUSTOMER.feature_names)]
    scores = cross_val_score(
        build_sklearn_pipeline(CUSTOMER), features, customers["Churn"], cv=5, scoring="roc_auc"
    )
    assert scores.mean() == pytest.approx(0.85, abs=0.01)


@pytest.mark.parametrize(
    ("field", "table"),
    [
        ("gender", {(): tables.GENDER}),
        ("Partner", {(): tables.PARTNER}),
        ("Dependents", tables.DEPENDENTS),
        ("InternetService", tables.INTERNET_SERVICE),
        ("PhoneService", tables.PHONE_SERVICE),
        ("Contract", tables.CONTRACT),
        ("PaperlessBilling", tables.PAPERLESS_BILLING),
        ("PaymentMethod", tables.PAYMENT_METHOD),
    ],
)
def test_tables_give_a_probability_to_every_allowed_value(
    field: str, table: dict[object, dict[str, float]]
) -> None:
    for chances in table.values():
        assert set(chances) == set(CUSTOMER.field(field).allowed)
        assert sum(chances.values()) == pytest.approx(1)


def test_logit_and_price_tables_speak_of_allowed_values() -> None:
    for field, value in (*tables.CHURN_LOGITS, *tables.PRICES):
        assert value in CUSTOMER.field(field).allowed
    for name, add_on in tables.ADD_ONS.items():
        assert {"Yes", "No", add_on.without} == set(CUSTOMER.field(name).allowed)
        assert set(add_on.by_internet) <= set(CUSTOMER.field("InternetService").allowed)
        assert set(add_on.by_contract) <= set(CUSTOMER.field("Contract").allowed)
    assert all(len(shares) == len(tables.TENURE_BANDS) for shares in tables.TENURE.values())
