"""A fallback, a session and helper columns concern the Spark backend alone."""

from __future__ import annotations

import gc
import logging
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
import pytest

from lib import inference_backend
from lib.errors import ModelCorruptError, ModelError, ModelMismatchError
from lib.inference_backend import (
    SklearnBackend,
    SparkBackend,
    get_backend_info,
    load_model,
    predict,
)
from tests.score.conftest import save_version
from tests.score.models import build_customers, fit_spark_pipeline
from tests.support.process import run_python
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession

    from lib.store import ModelVersion

CUSTOMERS = build_customers(10, seed=6)
OTHER_LABELS = replace(
    CUSTOMER, label=replace(CUSTOMER.label, allowed=("stays", "goes")), positive_label="goes"
)


@pytest.fixture
def copied(version: ModelVersion, tmp_path: Path) -> ModelVersion:
    """Copy the version, so that a test may change it."""
    path = tmp_path / "churn" / "1"
    shutil.copytree(version.path, path)
    return type(version)("churn", 1, path, version.metadata)


def assert_falls_back(
    backend: SparkBackend, cause: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Check that the backend warned once of this cause, and really scores with scikit-learn."""
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "Spark model not used, falling back to sklearn: cause=" + cause in caplog.text
    assert backend.using_fallback
    assert isinstance(backend.fallback_backend, SklearnBackend)
    assert (backend.backend_type, backend.scored_by) == ("spark", f"{name}/sklearn")
    assert backend.model_type == "Pipeline"
    assert list(predict(backend, CUSTOMERS)[1]) == list(
        predict(backend.fallback_backend, CUSTOMERS)[1]
    )
    assert get_backend_info(backend)["using_fallback"] is True


def test_path_that_does_not_exist_falls_back(
    joblib_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = SparkBackend("absent_model", joblib_path)
    backend.load()
    assert_falls_back(backend, "the path does not exist: absent_model", caplog, "churn_lr")


def test_reference_to_no_version_falls_back(
    joblib_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = SparkBackend("absent@3", joblib_path)
    backend.load()
    assert_falls_back(backend, "the path does not exist: absent@3: not found", caplog, "churn_lr")


def test_missing_pyspark_falls_back(
    joblib_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference_backend, "SPARK_AVAILABLE", False)
    backend = SparkBackend("absent_model", joblib_path)
    backend.load()
    assert_falls_back(backend, "PySpark is missing", caplog, "churn_lr")
    assert get_backend_info(backend)["spark_available"] is False


def test_model_that_does_not_load_falls_back(
    joblib_path: Path, tmp_path: Path, spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "part-0").write_text("{}")
    backend = SparkBackend(tmp_path, joblib_path, spark)
    backend.load()
    assert_falls_back(backend, "the model does not load: ", caplog, "churn_lr")


def test_model_of_another_pyspark_falls_back_to_the_same_version(
    version: ModelVersion, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = save_version(
        tmp_path,
        lambda folder: shutil.copytree(
            version.path,
            folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("metadata.json", "contract.toml"),
        ),
        libraries={**version.metadata.libraries, "pyspark": "3.5.1"},
    )
    backend = load_model("spark", saved.path)
    assert isinstance(backend, SparkBackend)
    cause = "the model does not load: churn@1: found pyspark 4."
    assert_falls_back(backend, cause, caplog, "churn@1")
    assert backend.threshold == 0.32


def test_version_without_a_spark_model_falls_back_to_its_pipeline(
    sklearn_version: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    backend = load_model("spark", sklearn_version.path)
    assert isinstance(backend, SparkBackend)
    cause = f"the path does not exist: {sklearn_version.path / 'spark_model'}"
    assert_falls_back(backend, cause, caplog, "churn@1")
    assert get_backend_info(backend)["fallback_path"] == str(
        sklearn_version.path / "pipeline.joblib"
    )


def test_fallback_goes_with_its_preprocessor(tmp_path: Path, training: pd.DataFrame) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    numbers = ["tenure", "MonthlyCharges"]
    scaler = StandardScaler().fit(training[numbers])
    model = LogisticRegression().fit(scaler.transform(training[numbers]), training["label"])
    joblib.dump(scaler, tmp_path / "scaler.joblib")
    joblib.dump(model, tmp_path / "model.joblib")
    backend = load_model(
        "spark", "absent", tmp_path / "scaler.joblib", fallback_path=tmp_path / "model.joblib"
    )
    expected = model.predict_proba(scaler.transform(CUSTOMERS[numbers]))[:, 1]
    assert list(predict(backend, CUSTOMERS)[1]) == list(expected)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        (
            "s3a://bucket/model",
            "java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not"
            " found",
        ),
        ("hdfs://127.0.0.1:1/model", "java.net.ConnectException: Connection refused"),
        ("hdfs:///model", "java.io.IOException: Incomplete HDFS URI, no host: hdfs:///model/meta"),
        ("file:///nowhere/model", "AnalysisException: [PATH_NOT_FOUND] Path does not exist: file:"),
    ],
)
def test_a_url_that_spark_cannot_read_is_one_line_with_its_cause(
    spark: SparkSession, url: str, cause: str
) -> None:
    with pytest.raises(ModelError) as caught:
        load_model("spark", url, spark_session=spark)
    assert str(caught.value).startswith(f"Spark model {url}: the model does not load: {cause}")
    assert "\n" not in str(caught.value)


def test_a_folder_of_any_name_with_files_of_a_file_manager_loads_by_path_and_url(
    pipeline_model_path: Path, spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "Modell für März 100%41 #1"
    shutil.copytree(pipeline_model_path, path)
    for folder in (path, path / "metadata", path / "stages"):
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    expected = predict(load_model("spark", pipeline_model_path, spark_session=spark), CUSTOMERS)
    for place in (path, f"file://{pipeline_model_path}"):
        assert predict(load_model("spark", place, spark_session=spark), CUSTOMERS) == expected


def test_without_a_fallback_the_cause_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = r"Spark model absent_model: the path does not exist: .*; no fallback path specified"
    with pytest.raises(ValueError, match=message):
        load_model("spark", "absent_model")
    monkeypatch.setattr(inference_backend, "SPARK_AVAILABLE", False)
    with pytest.raises(ValueError, match="PySpark is missing; no fallback path specified"):
        load_model("spark", "absent_model")


def test_class_itself_falls_back_only_where_it_is_told_to(sklearn_version: ModelVersion) -> None:
    with pytest.raises(ValueError, match="no fallback path specified"):
        SparkBackend(sklearn_version.path).load()


def test_absent_fallback_is_not_found_by_name() -> None:
    with pytest.raises(FileNotFoundError, match=r"Model file not found: absent\.joblib"):
        SparkBackend("absent_model", "absent.joblib").load()


def test_altered_version_is_refused_and_does_not_fall_back(
    copied: ModelVersion, spark: SparkSession
) -> None:
    stage = next((copied.path / "spark_model").rglob("part-*"))
    stage.write_bytes(stage.read_bytes() + b" ")
    for path in (copied.path, copied.path / "spark_model"):
        with pytest.raises(ModelCorruptError, match=rf"{stage.name}: found sha256"):
            load_model("spark", path, spark_session=spark)


def test_nothing_is_loaded_before_load() -> None:
    backend = SparkBackend("absent", "absent_too")
    assert (backend.model, backend.model_type, backend.fallback_backend) == (None, None, None)
    assert not backend.using_fallback
    with pytest.raises(ValueError, match=r"^Model not loaded\. Call load\(\) first\.$"):
        backend.predict(CUSTOMERS)


def test_loading_again_leaves_the_fallback(
    joblib_path: Path, pipeline_model_path: Path, spark: SparkSession
) -> None:
    backend = SparkBackend("absent", joblib_path, spark)
    backend.load()
    backend.model_path = pipeline_model_path
    backend.load()
    assert (backend.using_fallback, backend.fallback_backend) == (False, None)
    assert (backend.model_type, backend.scored_by) == ("PipelineModel", "churn_lr/spark")


def test_model_is_loaded_from_a_uri_and_in_the_given_session(
    pipeline_model_path: Path, spark: SparkSession
) -> None:
    other = spark.newSession()
    backend = load_model("spark", pipeline_model_path.as_uri(), spark_session=other)
    assert backend.scored_by == "churn_lr/spark"
    assert len(predict(backend, CUSTOMERS)[1]) == 10
    assert backend.with_probability(other.createDataFrame(CUSTOMERS)).count() == 10


def test_uri_that_leads_nowhere_falls_back(
    joblib_path: Path, spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    backend = SparkBackend("file:///no/such/model", joblib_path, spark)
    backend.load()
    assert_falls_back(backend, "the model does not load: ", caplog, "churn_lr")


def test_active_session_is_used_where_none_is_given(
    pipeline_model_path: Path, spark: SparkSession
) -> None:
    backend = load_model("spark", pipeline_model_path)
    assert get_backend_info(backend) == {
        "backend_type": "spark",
        "model_path": str(pipeline_model_path),
        "model_type": "PipelineModel",
        "using_fallback": False,
        "fallback_path": None,
        "spark_available": True,
    }
    assert len(predict(backend, CUSTOMERS)[1]) == 10


def test_model_set_by_hand_scores_without_loading(
    pipeline_model: PipelineModel, spark: SparkSession
) -> None:
    backend = SparkBackend("by-hand", spark_session=spark)
    backend.model = pipeline_model
    assert backend.scored_by == "PipelineModel/spark"
    assert len(predict(backend, CUSTOMERS)[1]) == 10


def test_model_without_probabilities_is_refused_when_the_plan_is_built(
    spark: SparkSession,
) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import SQLTransformer

    from lib.errors import ModelMismatchError

    backend = SparkBackend("by-hand", spark_session=spark)
    backend.model = PipelineModel(stages=[SQLTransformer(statement="SELECT * FROM __THIS__")])
    with pytest.raises(
        ModelMismatchError, match=r"PipelineModel/spark: found a frame.*probability"
    ):
        backend.with_probability(spark.createDataFrame(CUSTOMERS))


def test_probability_that_is_nan_becomes_null(training: pd.DataFrame, spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    backend = SparkBackend("by-hand", spark_session=spark)
    backend.model = fit_spark_pipeline(spark.createDataFrame(training), invalid_numbers="keep")
    frame = spark.createDataFrame(CUSTOMERS.assign(n=range(10))).withColumn(
        "MonthlyCharges", F.when(F.col("n") != 4, F.col("MonthlyCharges"))
    )
    rows = backend.with_probability(frame).where("probability is null").select("n").collect()
    assert [row.n for row in rows] == [4]


def test_helper_columns_of_the_model_may_be_named_in_its_parameters(
    training: pd.DataFrame, spark: SparkSession
) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler

    stages: list[Any] = [
        VectorAssembler(inputCols=["tenure"], outputCol="v"),
        LogisticRegression(featuresCol="v", labelCol="label", probabilityCol="chance of churn"),
    ]
    backend = SparkBackend("by-hand", spark_session=spark)
    backend.model = Pipeline(stages=stages).fit(spark.createDataFrame(training))
    scored = backend.with_probability(spark.createDataFrame(CUSTOMERS[["tenure"]]))
    assert scored.columns == ["tenure", "probability"]
    assert scored.where("probability between 0 and 1").count() == 10


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        # A few iterations make a model of the same kind as many.
        ("LogisticRegression", {"maxIter": 5}),
        ("RandomForestClassifier", {"numTrees": 3}),
        ("GBTClassifier", {"maxIter": 3}),
        ("NaiveBayes", {}),
        ("LinearSVC", {"maxIter": 5}),
    ],
    ids=[
        "LogisticRegression",
        "RandomForestClassifier",
        "GBTClassifier",
        "NaiveBayes",
        "LinearSVC",
    ],
)
def test_last_stage_adds_the_probability_alone_and_it_is_the_same(
    name: str,
    limits: dict[str, int],
    training: pd.DataFrame,
    spark: SparkSession,
    tmp_path: Path,
) -> None:
    from pyspark.ml import Pipeline, PipelineModel, classification
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    from lib.score.backends.spark.pipeline_model import load_pipeline_model

    columns = ["tenure", "MonthlyCharges"]
    stages: list[Any] = [
        VectorAssembler(inputCols=columns, outputCol="features"),
        getattr(classification, name)(labelCol="label", **limits),
    ]
    Pipeline(stages=stages).fit(spark.createDataFrame(training)).save(str(tmp_path / "model"))
    customers = spark.createDataFrame(CUSTOMERS[columns])
    saved = PipelineModel.load(str(tmp_path / "model"))
    loaded = load_pipeline_model((tmp_path / "model").as_uri(), spark)
    if name == "LinearSVC":  # it gives no probabilities, so it is not changed
        assert loaded.transform(customers).columns == saved.transform(customers).columns
        return
    assert loaded.transform(customers).columns == [*columns, "features", "probability"]
    expected, found = (
        model.transform(customers).select(vector_to_array(F.col("probability"))).collect()
        for model in (saved, loaded)
    )
    assert found == expected
    assert len(found) == len(CUSTOMERS)


def test_command_starts_a_session_of_its_own(pipeline_model_path: Path) -> None:
    record = build_customers(1, seed=2).to_json(orient="records")
    command = ("-m", "lib.inference_backend", str(pipeline_model_path), "--record", record)
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert (lines["scored_by"], lines["model_type"]) == ("churn_lr/spark", "PipelineModel")
    assert lines["prediction"] in ("Yes", "No")


def test_session_that_was_stopped_falls_back(pipeline_model_path: Path, joblib_path: Path) -> None:
    code = f"""
from pyspark.sql import SparkSession
from lib.inference_backend import SparkBackend
session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
session.stop()
backend = SparkBackend({str(pipeline_model_path)!r}, {str(joblib_path)!r}, session)
backend.load()
print(backend.using_fallback)
"""
    done = run_python("-c", code)
    assert done.stdout == "True\n", done.stderr
    assert "falling back to sklearn: cause=" in done.stderr


@pytest.mark.parametrize(
    ("order", "threshold", "leaving"),
    [
        # The index of "Yes" is 1, and a threshold counts for the class of index 1.
        ("alphabetAsc", 0.3, (1, 0.3)),
        # The index of "Yes" is 0.
        ("alphabetDesc", 0.3, (0, 0.7)),
    ],
)
def test_the_stage_that_indexes_the_label_says_which_class_is_the_positive_one(
    spark: SparkSession, tmp_path: Path, order: str, threshold: float, leaving: tuple[int, float]
) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as SparkLogisticRegression
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.ml.feature import StringIndexer, VectorAssembler
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    customers = build_customers(200, seed=7)[["tenure", "MonthlyCharges"]]
    told = customers.assign(Churn=["Yes" if it < 20 else "No" for it in customers["tenure"]])
    stages: list[Any] = [
        StringIndexer(inputCol="Churn", outputCol="label", stringOrderType=order),
        VectorAssembler(inputCols=["tenure", "MonthlyCharges"], outputCol="features"),
        SparkLogisticRegression(labelCol="label", threshold=threshold, regParam=0.01),
    ]
    frame = spark.createDataFrame(told)
    model = Pipeline(stages=stages).fit(frame)
    # Spark leaves the threads of the search to the garbage collector, which warns of them.
    with warnings.catch_warnings(action="ignore"):
        searched = CrossValidator(
            estimator=Pipeline(stages=stages),
            estimatorParamMaps=ParamGridBuilder().build(),
            evaluator=BinaryClassificationEvaluator(),
            numFolds=2,
        ).fit(frame)
        gc.collect()
    makers = model.transform(frame).select("probability").collect()
    position, own = leaving
    model.save((tmp_path / "pipeline").as_uri())
    searched.save((tmp_path / "searched").as_uri())

    for name in ("pipeline", "searched"):
        backend = load_model("spark", tmp_path / name, spark_session=spark, contract=CUSTOMER)
        _, probabilities = predict(backend, customers)
        assert probabilities == pytest.approx([float(row[0][position]) for row in makers], abs=1e-6)
        assert backend.threshold == pytest.approx(own)
        assert probabilities[int(customers["tenure"].idxmin())] > 0.5
    with pytest.raises(ModelMismatchError, match=r"found the classes '(Yes|No)' and '"):
        load_model("spark", tmp_path / "pipeline", spark_session=spark, contract=OTHER_LABELS)
