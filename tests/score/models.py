"""Make random customers of the contract, and fit small models on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lib.record.contract import Kind
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

CATEGORIES = [field.name for field in CUSTOMER.categorical]
NUMBERS = [field.name for field in CUSTOMER.numeric]


def build_customers(count: int, seed: int) -> pd.DataFrame:
    """Return valid features, uniform over what the contract allows; models are trained on them."""
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for field in CUSTOMER.features:
        if field.kind is Kind.CATEGORY:
            columns[field.name] = random.choice(np.array(field.allowed, dtype=object), count)
            continue
        assert field.minimum is not None
        assert field.maximum is not None
        if field.kind is Kind.INTEGER:
            columns[field.name] = random.integers(
                int(field.minimum), int(field.maximum), count, endpoint=True
            )
        else:
            columns[field.name] = random.uniform(field.minimum, field.maximum, count).round(2)
    return pd.DataFrame(columns)


def build_labels(customers: pd.DataFrame, seed: int = 2) -> Any:
    """Return labels, int64 [n_rows], which are 1 more often for customers with a shorter tenure."""
    leaving = 1 / (1 + np.exp(customers["tenure"].to_numpy() / 20 - 2))
    return (np.random.default_rng(seed).uniform(size=len(customers)) < leaving).astype("int64")


def fit_sklearn_pipeline(training: pd.DataFrame) -> Any:
    """Fit a one-hot logistic regression that refuses null numbers and ignores unseen categories."""
    columns = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
            ("numbers", StandardScaler(), NUMBERS),
        ]
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1_000))
    return pipeline.fit(training[list(CUSTOMER.feature_names)], training["label"])


#: The tenure on which the models of :func:`fit_fussy_pipeline` fail.
UNKNOWN_TENURE = 37


def fit_fussy_pipeline() -> Any:
    """Fit a model that raises on one tenure, which its encoder does not know, and on no other."""
    known = [it for it in range(121) if it != UNKNOWN_TENURE]
    customers = build_customers(200, seed=4)
    customers["tenure"] = np.resize(known, 200)
    columns = ColumnTransformer([("tenure", OneHotEncoder(categories=[known]), ["tenure"])])
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1_000))
    return pipeline.fit(customers, build_labels(customers))


def export_fussy_onnx(pipeline: Any) -> bytes:
    """Export such a model as an ONNX graph, which fails on the same tenure."""
    from skl2onnx import to_onnx  # type: ignore[import-untyped]  # skl2onnx has no types
    from skl2onnx.common.data_types import (  # type: ignore[import-untyped]
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    types = {Kind.CATEGORY: StringTensorType, Kind.INTEGER: Int64TensorType}
    inputs = [
        (field.name, types.get(field.kind, FloatTensorType)([None, 1]))
        for field in CUSTOMER.features
    ]
    graph: bytes = to_onnx(
        pipeline, initial_types=inputs, options={"zipmap": False}
    ).SerializeToString()
    return graph


def fit_spark_pipeline(training: DataFrame, invalid_numbers: str = "error") -> PipelineModel:
    """Fit a one-hot logistic regression in Spark; ``invalid_numbers`` is ``handleInvalid``."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as SparkLogisticRegression
    from pyspark.ml.feature import OneHotEncoder as SparkOneHotEncoder
    from pyspark.ml.feature import StringIndexer, VectorAssembler

    indexed = [f"{name}_index" for name in CATEGORIES]
    encoded = [f"{name}_vector" for name in CATEGORIES]
    stages: list[Any] = [
        StringIndexer(inputCols=CATEGORIES, outputCols=indexed, handleInvalid="keep"),
        SparkOneHotEncoder(inputCols=indexed, outputCols=encoded, handleInvalid="keep"),
        VectorAssembler(
            inputCols=[*encoded, *NUMBERS], outputCol="features", handleInvalid=invalid_numbers
        ),
        SparkLogisticRegression(labelCol="label", maxIter=20),
    ]
    return Pipeline(stages=stages).fit(training)
