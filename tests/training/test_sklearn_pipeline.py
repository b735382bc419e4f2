from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from lib.training.data import make_training_data
from lib.training.encoding import build_encoding
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from tests.support.telco import CUSTOMER

DATA = make_training_data(2_000, seed=1, contract=CUSTOMER)
PIPELINE = build_sklearn_pipeline(CUSTOMER).fit(DATA.features, DATA.labels)
ROW = DATA.features.iloc[[0]]


def probability(features: pd.DataFrame) -> float:
    result = PIPELINE.predict_proba(features)
    assert result.shape == (1, 2)
    return float(result[0, 1])


def test_the_design_has_the_encodings_columns() -> None:
    assert PIPELINE[:-1].transform(ROW).shape == (1, build_encoding(CUSTOMER).width) == (1, 51)


def test_probabilities_are_calibrated_on_average() -> None:
    predicted = PIPELINE.predict_proba(DATA.features)[:, 1]
    assert predicted.mean() == pytest.approx(DATA.labels.mean(), abs=1e-6)


def test_classes_are_zero_and_one() -> None:
    assert PIPELINE.classes_.tolist() == [0, 1]


@pytest.mark.parametrize("total", [600.0, 600, "600.0", " 600 ", "6e2"])
def test_a_number_may_come_as_text(total: float | str) -> None:
    expected = probability(ROW.assign(TotalCharges=600.0))
    assert probability(ROW.assign(TotalCharges=total)) == expected


@pytest.mark.parametrize("total", [" ", "", "\t", "   "])
def test_a_blank_is_zero(total: str) -> None:
    expected = probability(ROW.assign(TotalCharges=0.0))
    assert probability(ROW.assign(TotalCharges=total)) == expected


def test_numbers_text_and_blanks_may_be_mixed() -> None:
    totals = pd.Series([600.0, "600.0", " ", 0], dtype=object)
    rows = pd.concat([ROW] * 4, ignore_index=True).assign(TotalCharges=totals)
    first, second, third, fourth = PIPELINE.predict_proba(rows)[:, 1]
    assert first == second
    assert third == fourth


@pytest.mark.parametrize("total", ["many", "\u00a0", "NaN", float("nan"), float("inf"), None])
def test_what_is_no_number_raises(total: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        PIPELINE.predict_proba(ROW.assign(TotalCharges=pd.Series([total], dtype=object)))


@pytest.mark.parametrize("value", ["unseen", "", None])
@pytest.mark.parametrize("name", [field.name for field in CUSTOMER.categorical])
def test_an_unseen_category_is_none_of_the_known_ones(name: str, value: object) -> None:
    unseen = ROW.assign(**{name: pd.Series([value], dtype=object)})
    known = [probability(ROW.assign(**{name: each})) for each in CUSTOMER.field(name).allowed]
    assert min(known) <= probability(unseen) <= max(known)


def test_columns_may_come_in_any_order_with_others_between() -> None:
    turned = ROW[ROW.columns[::-1]]
    assert probability(turned) == probability(ROW)
    assert probability(turned.assign(customerID="7590-VHVEG")) == probability(ROW)


def test_the_pipeline_lists_its_columns() -> None:
    assert tuple(PIPELINE.feature_names_in_) == CUSTOMER.feature_names


def test_integers_may_come_as_floats() -> None:
    assert probability(ROW.astype({"tenure": float, "SeniorCitizen": float})) == probability(ROW)


def test_callers_frames_are_left_alone() -> None:
    rows = ROW.assign(TotalCharges=" ")
    PIPELINE.predict_proba(rows)
    assert rows["TotalCharges"].tolist() == [" "]


def test_the_first_months_count_apart() -> None:
    monthly = ROW.assign(Contract="Month-to-month", TotalCharges=100.0)
    first, second, tenth, eleventh = (
        probability(monthly.assign(tenure=month)) for month in (1, 2, 10, 11)
    )
    assert first - second > 3 * (tenth - eleventh) > 0


def test_the_file_loads_where_this_project_is_not_installed(tmp_path: Path) -> None:
    joblib.dump(PIPELINE, tmp_path / "pipeline.joblib")
    DATA.features.head(5).to_json(tmp_path / "rows.json")
    program = (
        "import sys; sys.modules['lib'] = None; import joblib, pandas;"
        "rows = pandas.read_json('rows.json');"
        "print(*joblib.load('pipeline.joblib').predict_proba(rows)[:, 1])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = PIPELINE.predict_proba(DATA.features.head(5))[:, 1]
    np.testing.assert_array_equal([float(text) for text in run.stdout.split()], expected)


def test_no_function_is_called_for_each_row() -> None:
    rows = pd.concat([DATA.features] * 5, ignore_index=True)
    assert count_calls(rows) < count_calls(rows.head(100)) + 100


def count_calls(rows: pd.DataFrame) -> int:
    """Count the functions, those of C as well, that scoring calls."""
    calls = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        PIPELINE.predict_proba(rows)
    finally:
        sys.setprofile(None)
    return calls
