"""Provides a small fitted model of scikit-learn, and records for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest

from jobs.models import manage_models
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.store import ModelStore, ModelVersion
from tests.support.stored_models import save_version
from tests.support.telco import CUSTOMER

Run = Callable[..., list[str]]

#: A CSV file with two valid records, and one that the contract refuses for two fields.
RECORDS = (
    "customerID,gender,SeniorCitizen,Partner,Dependents,tenure,PhoneService,MultipleLines,"
    "InternetService,OnlineSecurity,OnlineBackup,DeviceProtection,TechSupport,StreamingTV,"
    "StreamingMovies,Contract,PaperlessBilling,PaymentMethod,MonthlyCharges,TotalCharges\n"
    "7590-VHVEG,Female,0,Yes,No,1,No,No phone service,DSL,No,Yes,No,No,No,No,Month-to-month,Yes,"
    "Electronic check,29.85,29.85\n"
    "5575-GNVDE,Male,0,No,No,34,Yes,No,DSL,Yes,No,Yes,No,No,No,One year,No,Mailed check,56.95,"
    "1889.5\n"
    "3668-QPYBK,Male,0,No,No,200,Yes,No,DSL,Yes,Yes,No,No,No,No,Monthly,Yes,Mailed check,53.85,"
    "108.15\n"
)


@pytest.fixture(scope="session")
def pipeline() -> Any:
    """Fit the pipeline of the training on 600 synthetic customers."""
    from lib.training.data import make_training_data
    from lib.training.sklearn_pipeline import build_sklearn_pipeline

    data = make_training_data(600, seed=3, contract=CUSTOMER)
    return build_sklearn_pipeline(CUSTOMER).fit(data.features, data.labels)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "records.csv"
    path.write_text(RECORDS)
    return path


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def version(store: ModelStore, pipeline: Any) -> ModelVersion:
    """Save the pipeline as ``churn@1``."""
    return save_version(store, lambda folder: joblib.dump(pipeline, folder / "pipeline.joblib"))


@pytest.fixture
def run(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command and returns its lines."""

    def call(*arguments: str | Path) -> list[str]:
        words = ["--store", str(store.root), *map(str, arguments)]
        assert manage_models(load_settings(ModelsSettings, words, {})) == 0
        return capsys.readouterr().out.splitlines()

    return call
