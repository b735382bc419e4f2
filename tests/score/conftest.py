"""Fit two small real models on the same random customers: in scikit-learn and in Spark."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
import pytest

from lib.inference_backend import ModelBackend, load_model
from lib.store import ModelStore, ModelVersion, installed_libraries
from tests.score.models import build_customers, build_labels, fit_sklearn_pipeline
from tests.support.stored_models import claim_probed
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession

THRESHOLD = 0.32


@pytest.fixture(scope="session")
def training() -> pd.DataFrame:
    customers = build_customers(600, seed=1)
    return customers.assign(label=build_labels(customers))


@pytest.fixture(scope="session")
def sklearn_pipeline(training: pd.DataFrame) -> Any:
    return fit_sklearn_pipeline(training)


@pytest.fixture(scope="session")
def joblib_path(sklearn_pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("joblib") / "churn_lr.joblib"
    joblib.dump(sklearn_pipeline, path)
    return path


@pytest.fixture(scope="session")
def pipeline_model(training: pd.DataFrame, spark: SparkSession) -> PipelineModel:
    from tests.score.models import fit_spark_pipeline

    return fit_spark_pipeline(spark.createDataFrame(training))


@pytest.fixture(scope="session")
def pipeline_model_path(
    pipeline_model: PipelineModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("spark") / "churn_lr"
    pipeline_model.save(path.as_uri())
    return path


@pytest.fixture(scope="session")
def sklearn_version(
    sklearn_pipeline: Any, tmp_path_factory: pytest.TempPathFactory
) -> ModelVersion:
    """Save a version that has no Spark model."""
    root = tmp_path_factory.mktemp("sklearn_store")
    return save_version(
        root, lambda folder: joblib.dump(sklearn_pipeline, folder / "pipeline.joblib")
    )


@pytest.fixture(scope="session")
def version(
    sklearn_pipeline: Any, pipeline_model: PipelineModel, tmp_path_factory: pytest.TempPathFactory
) -> ModelVersion:
    """Save a version with both artefacts, which no test may change."""

    def write(folder: Path) -> None:
        joblib.dump(sklearn_pipeline, folder / "pipeline.joblib")
        pipeline_model.save((folder / "spark_model").as_uri())

    return save_version(tmp_path_factory.mktemp("store"), write)


def save_version(root: Path, write: Any, **changes: Any) -> ModelVersion:
    values: dict[str, Any] = {
        "metrics": {},
        "probe": claim_probed,
        "threshold": THRESHOLD,
        "contract": CUSTOMER,
        "libraries": installed_libraries(),
        "training": {"rows": 600, "source": "random", "seed": 1},
        "now": datetime(2025, 1, 2, tzinfo=UTC),
        **changes,
    }
    store = ModelStore(root)
    saved = store.save("churn", write, **values)
    store.promote("churn", saved.version)
    return saved


@pytest.fixture(scope="session")
def contract_pipeline(training: pd.DataFrame) -> Any:
    """Fit a pipeline as training does, from which the compiled forms are made."""
    from lib.training.sklearn_pipeline import build_sklearn_pipeline

    return build_sklearn_pipeline(CUSTOMER).fit(
        training[list(CUSTOMER.feature_names)], training["label"]
    )


@pytest.fixture(scope="session")
def onnx_path(contract_pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lib.training.compile.export import export_onnx

    path = tmp_path_factory.mktemp("onnx") / "churn_lr.onnx"
    path.write_bytes(export_onnx(contract_pipeline, CUSTOMER))
    return path


@pytest.fixture(scope="session")
def sql_path(contract_pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lib.training.compile.export import export_sql

    path = tmp_path_factory.mktemp("sql") / "churn_lr.sql"
    path.write_text(export_sql(contract_pipeline, CUSTOMER))
    return path


@pytest.fixture(
    params=[
        "sklearn",
        "onnx",
        pytest.param("spark", marks=pytest.mark.spark),
        pytest.param("sql", marks=pytest.mark.spark),
    ]
)
def backend(request: pytest.FixtureRequest) -> ModelBackend:
    """Return each backend in turn, loaded from a model outside a store."""
    name = request.param
    paths = {"sklearn": "joblib_path", "spark": "pipeline_model_path"}
    path = request.getfixturevalue(paths.get(name, f"{name}_path"))
    session = request.getfixturevalue("spark") if name in ("spark", "sql") else None
    return load_model(name, path, spark_session=session, contract=CUSTOMER)
