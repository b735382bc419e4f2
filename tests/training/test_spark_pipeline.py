from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pytest

from lib.training.data import make_training_data
from lib.training.encoding import build_encoding
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.ml.classification import LogisticRegressionModel
    from pyspark.sql import SparkSession

    from lib.training.evaluation import Probabilities

DATA = make_training_data(2_000, seed=1, contract=CUSTOMER)
SKLEARN = build_sklearn_pipeline(CUSTOMER).fit(DATA.features, DATA.labels)


@pytest.fixture(scope="module")
def model(spark: SparkSession) -> PipelineModel:
    from lib.training.spark_fit import fit_spark_pipeline

    return fit_spark_pipeline(spark, DATA, CUSTOMER)


def score(spark: SparkSession, model: PipelineModel, rows: pd.DataFrame) -> Probabilities:
    from lib.training.spark_fit import score_with_spark

    return score_with_spark(spark, model, rows)


def last_stage(model: PipelineModel) -> LogisticRegressionModel:
    return cast("LogisticRegressionModel", model.stages[-1])


def test_there_are_three_stages(model: PipelineModel) -> None:
    names = [type(stage).__name__ for stage in model.stages]
    assert names == ["SQLTransformer", "VectorAssembler", "LogisticRegressionModel"]


def test_both_engines_have_the_same_design(model: PipelineModel) -> None:
    assert last_stage(model).numFeatures == build_encoding(CUSTOMER).width == 51


def test_both_engines_give_the_same_probabilities(
    spark: SparkSession, model: PipelineModel
) -> None:
    others = make_training_data(2_000, seed=2, contract=CUSTOMER).features
    np.testing.assert_allclose(
        score(spark, model, others), SKLEARN.predict_proba(others)[:, 1], rtol=0, atol=1e-6
    )


def test_both_engines_have_the_same_coefficients(model: PipelineModel) -> None:
    classifier, scaler = SKLEARN[-1], SKLEARN[-2]
    standardised = last_stage(model).coefficients.toArray() * scaler.scale_
    np.testing.assert_allclose(standardised, classifier.coef_[0], atol=1e-5)


@pytest.mark.parametrize("name", [field.name for field in CUSTOMER.categorical])
def test_an_unseen_category_scores_as_in_sklearn(
    spark: SparkSession, model: PipelineModel, name: str
) -> None:
    values = pd.Series(["unseen", "", None], dtype=object)
    unseen = DATA.features.head(3).assign(**{name: values})
    np.testing.assert_allclose(
        score(spark, model, unseen), SKLEARN.predict_proba(unseen)[:, 1], rtol=0, atol=1e-6
    )


def test_numeric_text_and_blanks_score_as_in_sklearn(
    spark: SparkSession, model: PipelineModel
) -> None:
    raw = DATA.features.head(6).assign(TotalCharges=["600.0", " 600 ", "6e2", " ", "", "\t"])
    clean = raw.assign(TotalCharges=[600.0, 600.0, 600.0, 0.0, 0.0, 0.0])
    expected = SKLEARN.predict_proba(clean)[:, 1]
    np.testing.assert_array_equal(SKLEARN.predict_proba(raw)[:, 1], expected)
    np.testing.assert_allclose(score(spark, model, raw), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(score(spark, model, clean), expected, rtol=0, atol=1e-6)


def test_what_is_no_number_gives_nan_and_leaves_other_rows_alone(
    spark: SparkSession, model: PipelineModel
) -> None:
    totals = pd.Series(["many", None, "600"], dtype=object)
    rows = DATA.features.head(3).assign(TotalCharges=totals)
    found = score(spark, model, rows)
    assert np.isnan(found).tolist() == [True, True, False]


def test_a_null_number_gives_nan(spark: SparkSession, model: PipelineModel) -> None:
    rows = DATA.features.head(2).assign(tenure=pd.Series([None, 3], dtype="Int64"))
    assert np.isnan(score(spark, model, rows)).tolist() == [True, False]


def test_no_rows_give_no_probabilities(spark: SparkSession, model: PipelineModel) -> None:
    frame = spark.createDataFrame(DATA.features.head(1)).limit(0)
    assert model.transform(frame).collect() == []


def test_names_and_values_are_quoted_in_sql(spark: SparkSession) -> None:
    from lib.record.contract import Field, Kind
    from lib.training.encoding import Encoding, Indicators
    from lib.training.spark_pipeline import list_expressions

    awkward = Field("a `b`", Kind.CATEGORY, "", "x", allowed=("it's", "back\\slash"))
    expressions = list_expressions(Encoding((Indicators(awkward, awkward.allowed),), ()))
    frame = spark.createDataFrame([("it's",), ("back\\slash",), ("x",)], ["a `b`"])
    rows = frame.selectExpr(*expressions).collect()
    assert [tuple(row) for row in rows] == [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]
