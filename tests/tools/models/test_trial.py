"""``jobs/models.py try`` scores a file without Kafka, and says what the contract refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from jobs.models import manage_models
from lib.errors import ContractError, ModelNotFoundError, SettingsError, SourceError
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.store import ModelStore, ModelVersion
from tests.support.telco import CONTRACT_FILE, CUSTOMER

Run = Callable[..., tuple[int, list[list[str]]]]

NUMBERS = ("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges")


class Fussy:
    """A model that raises on one tenure, and gives 0.25 to all others."""

    classes_ = np.array(["No", "Yes"])

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        if (rows["tenure"] == 34).any():
            raise OverflowError("this tenure")
        return pd.DataFrame({"no": [0.75] * len(rows), "yes": 0.25}).to_numpy()


@pytest.fixture
def run(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command and returns its code and the words of its lines."""

    def call(*arguments: str) -> tuple[int, list[list[str]]]:
        flags = ["try", "--store", str(store.root), *arguments]
        code = manage_models(load_settings(ModelsSettings, flags, {}))
        lines = capsys.readouterr().out.splitlines()
        return code, [[it.strip() for it in line.split("  ") if it] for line in lines]

    return call


def expect(pipeline: Any, data: Path) -> list[str]:
    """Return the probabilities of the file's first two records by scikit-learn itself."""
    rows = pd.read_csv(data, nrows=2)[list(CUSTOMER.feature_names)]
    return [f"{it:.6f}" for it in pipeline.predict_proba(rows)[:, 1]]


def write_as(data: Path, suffix: str) -> Path:
    """Write the records of a CSV file as Parquet or as JSON lines, with numbers as numbers."""
    path = data.with_suffix(suffix)
    with data.open() as file:
        records: list[dict[str, Any]] = list(csv.DictReader(file))
    for record in records:
        record.update({name: json.loads(record[name]) for name in NUMBERS})
    if suffix == ".parquet":
        pd.DataFrame(records).to_parquet(path)
    else:
        path.write_text("".join(f"{json.dumps(it)}\n" for it in records))
    return path


@pytest.mark.parametrize(
    ("suffix", "place"), [(".csv", "row"), (".parquet", "row"), (".jsonl", "line")]
)
def test_each_record_gets_its_prediction_or_the_rules_that_it_breaks(
    run: Run, version: ModelVersion, pipeline: Any, data: Path, suffix: str, place: str
) -> None:
    first, second = expect(pipeline, data)
    file = data if suffix == ".csv" else write_as(data, suffix)

    code, lines = run("churn@1", "--data", str(file))

    assert code == 1
    assert lines == [
        ["record", "customerID", "churn_probability", "prediction", "refused"],
        [f"{place} 1", "7590-VHVEG", first, "Yes" if float(first) >= 0.5 else "No"],
        [f"{place} 2", "5575-GNVDE", second, "No"],
        [f"{place} 3", "3668-QPYBK", "–", "–", "tenure: out_of_range, Contract: not_allowed"],
        [f"2 of 3 records scored by churn@1/sklearn; {1 if float(first) >= 0.5 else 0} are Yes"],
    ]


def test_a_file_of_valid_records_ends_with_code_0(
    run: Run, version: ModelVersion, data: Path
) -> None:
    data.write_text("\n".join(data.read_text().splitlines()[:3]) + "\n")
    assert run("churn@1", "--data", str(data))[0] == 0


def test_a_model_outside_a_store_needs_its_contract(
    run: Run, version: ModelVersion, pipeline: Any, data: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "mine.joblib"
    joblib.dump(pipeline, outside)
    with pytest.raises(ContractError, match="found a model outside a store"):
        run(str(outside), "--data", str(data))

    _, lines = run(str(outside), "--data", str(data), "--contract", str(CONTRACT_FILE))
    assert lines[-1][0].startswith("2 of 3 records scored by mine/sklearn")
    assert run("churn@1", "--data", str(data))[1][:4] == lines[:4]


def test_a_record_on_which_the_model_fails_is_named_with_the_error(
    run: Run, data: Path, tmp_path: Path
) -> None:
    joblib.dump(Fussy(), tmp_path / "fussy.joblib")
    arguments = ("--data", str(data), "--contract", str(CONTRACT_FILE))
    code, lines = run(str(tmp_path / "fussy.joblib"), *arguments)

    assert code == 1
    assert lines[1][2:] == ["0.250000", "No"]
    assert lines[2][2:] == ["–", "–", "model: OverflowError: this tenure"]
    assert lines[4] == ["1 of 3 records scored by fussy/sklearn; 0 are Yes"]


def test_what_is_not_there_is_named(run: Run, version: ModelVersion, data: Path) -> None:
    with pytest.raises(SettingsError, match="try needs --data FILE"):
        run("churn@1")
    with pytest.raises(ModelNotFoundError, match="churn@7: not found"):
        run("churn@7", "--data", str(data))
    with pytest.raises(ModelNotFoundError, match=r"nowhere\.joblib: no such file or folder"):
        run("nowhere.joblib", "--data", str(data))
    with pytest.raises(SourceError, match=r"none\.csv: cannot be read"):
        run("churn@1", "--data", "none.csv")
    data.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="found no column of the contract telco-churn"):
        run("churn@1", "--data", str(data))
