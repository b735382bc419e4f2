from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lib.errors import SettingsError, SourceError
from lib.synth.telco import make_customers
from lib.training.data import make_training_data, read_training_data
from tests.support.telco import CUSTOMER

CUSTOMERS = make_customers(20, seed=1)


def write_csv(
    folder: Path, customers: pd.DataFrame = CUSTOMERS, change: tuple[str, str] | None = None
) -> Path:
    """Write the customers to a file; a change is a column and its value in line 3."""
    path = folder / "customers.csv"
    changed = customers.astype(str)
    if change is not None:
        name, value = change
        changed.loc[changed.index[1], name] = value
    changed.to_csv(path, index=False)
    return path


def test_rows_are_typed(tmp_path: Path) -> None:
    data = read_training_data(write_csv(tmp_path), CUSTOMER)
    assert tuple(data.features.columns) == CUSTOMER.feature_names
    assert {field.name: str(data.features[field.name].dtype) for field in CUSTOMER.numeric} == {
        "SeniorCitizen": "int64",
        "tenure": "int64",
        "MonthlyCharges": "float64",
        "TotalCharges": "float64",
    }
    assert {type(value) for value in data.features["Contract"]} == {str}
    assert data.labels.tolist() == [int(label == "Yes") for label in CUSTOMERS["Churn"]]
    assert data.rows == 20


def test_a_blank_total_is_zero(tmp_path: Path) -> None:
    data = read_training_data(write_csv(tmp_path, change=("TotalCharges", " ")), CUSTOMER)
    assert data.features["TotalCharges"][1] == 0.0


def test_an_integer_may_have_a_decimal_point(tmp_path: Path) -> None:
    data = read_training_data(write_csv(tmp_path, change=("tenure", "12.0")), CUSTOMER)
    assert data.features["tenure"][1] == 12


def test_the_identifier_is_not_needed_and_other_columns_are_ignored(tmp_path: Path) -> None:
    customers = CUSTOMERS.drop(columns="customerID").assign(note="x")
    assert read_training_data(write_csv(tmp_path, customers), CUSTOMER).rows == 20


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_training_data(path, CUSTOMER).rows == 20


def test_the_origin_names_the_file_and_its_checksum(tmp_path: Path) -> None:
    origin = read_training_data(write_csv(tmp_path), CUSTOMER).origin
    assert origin["source"] == "csv"
    assert origin["file"] == "customers.csv"
    assert len(origin["sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Contract", "Weekly", 'Contract in 1 row (line 3) is not one of "Month-to-month", '),
        ("Contract", "", "Contract in 1 row (line 3) is not one of "),
        ("tenure", "1.5", "tenure in 1 row (line 3) is not an integer from 0 to 120"),
        ("tenure", "121", "tenure in 1 row (line 3) is not an integer from 0 to 120"),
        ("tenure", "", "tenure in 1 row (line 3) is not an integer"),
        ("MonthlyCharges", "free", "MonthlyCharges in 1 row (line 3) is not a finite number"),
        ("MonthlyCharges", " ", "MonthlyCharges in 1 row (line 3) is not a finite number"),
        ("MonthlyCharges", "NaN", "MonthlyCharges in 1 row (line 3) is not a finite number"),
        ("TotalCharges", "inf", "TotalCharges in 1 row (line 3) is not a finite number"),
        ("TotalCharges", "-1", "TotalCharges in 1 row (line 3) is not a finite number"),
        ("Churn", "", 'Churn in 1 row (line 3) is not one of "No", "Yes"'),
        ("Churn", "1", 'Churn in 1 row (line 3) is not one of "No", "Yes"'),
    ],
)
def test_a_bad_value_is_named_by_line(tmp_path: Path, name: str, value: str, expected: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_training_data(write_csv(tmp_path, change=(name, value)), CUSTOMER)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("TotalCharges", "\xa0", "U+00A0"),
        ("TotalCharges", "600\u202f5", "U+202F"),
        ("tenure", "\u200b12", "U+200B"),
        ("gender", "Female\u3000", "U+3000"),
        ("Churn", "Yes\ufeff", "U+FEFF"),
    ],
)
def test_a_space_that_is_none_is_named_and_never_read_as_blank(
    tmp_path: Path, name: str, value: str, found: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read_training_data(write_csv(tmp_path, change=(name, value)), CUSTOMER)

    assert f"{name} in " in str(caught.value)
    assert f"; it holds {found}, which looks like a space or like nothing" in str(caught.value)


def test_all_bad_fields_are_counted(tmp_path: Path) -> None:
    customers = CUSTOMERS.assign(gender="?", tenure=-1)
    with pytest.raises(SourceError) as caught:
        read_training_data(write_csv(tmp_path, customers), CUSTOMER)
    assert "gender in 20 rows (line 2, 3, 4, 5, 6, …)" in str(caught.value)
    assert "tenure in 20 rows (line 2, 3, 4, 5, 6, …)" in str(caught.value)


def test_messages_do_not_quote_customers(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read_training_data(write_csv(tmp_path, change=("gender", "a secret")), CUSTOMER)
    assert "secret" not in str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    customers = CUSTOMERS.drop(columns=["Churn", "tenure"])
    with pytest.raises(SourceError, match="found no column tenure, Churn"):
        read_training_data(write_csv(tmp_path, customers), CUSTOMER)


def test_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found no rows"):
        read_training_data(write_csv(tmp_path, CUSTOMERS.iloc[:0]), CUSTOMER)


@pytest.mark.parametrize("content", [b"", b'a,b\n"1', b"a\n1,2,3\n1,2,3,4\n", b"a,b\n\xff,1\n"])
def test_what_is_no_csv_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read_training_data(path, CUSTOMER)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read as CSV"):
        read_training_data(tmp_path, CUSTOMER)


def test_a_missing_file_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        read_training_data(tmp_path / "nothing.csv", CUSTOMER)


def test_synthetic_customers_are_training_data() -> None:
    data = make_training_data(20, seed=1, contract=CUSTOMER)
    assert data.features["MonthlyCharges"].tolist() == CUSTOMERS["MonthlyCharges"].tolist()
    assert data.origin == {"source": "synthetic"}
