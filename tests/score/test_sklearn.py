"""Files, checksums, preprocessors and failing rows concern the scikit-learn backend alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from lib.errors import ModelCorruptError, ModelError, ModelMismatchError
from lib.inference_backend import SklearnBackend, get_backend_info, load_model, predict
from tests.score.conftest import save_version
from tests.score.models import NUMBERS, build_customers
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.store import ModelVersion

CUSTOMERS = build_customers(10, seed=4)


class Trap:
    """An object that leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def copied(sklearn_version: ModelVersion, tmp_path: Path) -> ModelVersion:
    """Copy the version, so that a test may change it."""
    path = tmp_path / "churn" / "1"
    shutil.copytree(sklearn_version.path, path)
    return type(sklearn_version)("churn", 1, path, sklearn_version.metadata)


@pytest.mark.parametrize("path", ["absent.joblib", "no/such/folder", "absent@3", "."])
def test_absent_file_is_not_found_by_name(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="^Model file not found: .*" + path):
        load_model("sklearn", path)


def test_absent_preprocessor_is_not_found_by_name(joblib_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^Preprocessor file not found: absent\.joblib"):
        load_model("sklearn", joblib_path, "absent.joblib")


def test_nothing_is_read_before_load() -> None:
    backend = SklearnBackend("absent.joblib", "absent_too.joblib")
    assert (backend.model, backend.model_type) == (None, None)
    with pytest.raises(ValueError, match=r"^Model not loaded\. Call load\(\) first\.$"):
        backend.predict(CUSTOMERS)
    with pytest.raises(ValueError, match="not loaded"):
        _ = backend.scored_by


def test_reference_without_a_store_means_the_folder_models(
    copied: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(tmp_path)  # the store itself may be anywhere
    backend = load_model("sklearn", "churn@1")
    assert backend.scored_by == "churn@1/sklearn"


def test_file_of_a_version_brings_the_versions_facts(copied: ModelVersion) -> None:
    backend = load_model("sklearn", copied.path / "pipeline.joblib")
    assert (backend.scored_by, backend.threshold) == ("churn@1/sklearn", 0.32)


@pytest.mark.parametrize("name_it", ["version", "file"])
def test_altered_file_of_a_version_is_refused_before_it_is_unpickled(
    copied: ModelVersion, tmp_path: Path, name_it: str
) -> None:
    trace = tmp_path / "trace"
    joblib.dump(Trap(trace), copied.path / "pipeline.joblib")
    path = copied.path if name_it == "version" else copied.path / "pipeline.joblib"
    with pytest.raises(ModelCorruptError, match=r"pipeline\.joblib: found sha256"):
        load_model("sklearn", path)
    assert not trace.exists()
    # The trap works: outside a store, nothing stops it.
    bare = tmp_path / "bare.joblib"
    (copied.path / "pipeline.joblib").rename(bare)
    with pytest.raises(ModelError, match="found a NoneType, expected an object with predict_proba"):
        load_model("sklearn", bare)
    assert trace.exists()


def test_file_that_a_version_does_not_list_is_refused(copied: ModelVersion) -> None:
    joblib.dump({}, copied.path / "other.joblib")
    with pytest.raises(ModelCorruptError, match=r"other\.joblib: .*expected no such file"):
        load_model("sklearn", copied.path / "other.joblib")


def test_version_of_another_sklearn_is_refused_before_it_is_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    saved = save_version(
        tmp_path / "store",
        lambda folder: joblib.dump(Trap(trace), folder / "pipeline.joblib"),
        libraries={"scikit-learn": "0.1.2"},
    )
    with pytest.raises(
        ModelMismatchError, match=r"churn@1: found scikit-learn .* expected 0\.1\.x"
    ):
        load_model("sklearn", saved.path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x05cno_such_module\nThing\n."])
def test_file_that_cannot_be_unpickled_is_a_model_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.joblib").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.joblib: cannot be unpickled"):
        load_model("sklearn", tmp_path / "model.joblib")


def test_metadata_of_another_tool_beside_the_file_is_none_of_our_business(
    joblib_path: Path, tmp_path: Path
) -> None:
    shutil.copy(joblib_path, tmp_path / "model.joblib")
    (tmp_path / "metadata.json").write_text('{"tool": "another", "version": 3}')
    assert load_model("sklearn", tmp_path / "model.joblib").scored_by == "model/sklearn"


@pytest.fixture
def two_files(tmp_path: Path, training: pd.DataFrame) -> tuple[Path, Path]:
    """Save a preprocessor for the numbers alone, and a model for its results."""
    scaler = StandardScaler().fit(training[NUMBERS])
    model = LogisticRegression().fit(scaler.transform(training[NUMBERS]), training["label"])
    joblib.dump(scaler, tmp_path / "scaler.joblib")
    joblib.dump(model, tmp_path / "model.joblib")
    return tmp_path / "model.joblib", tmp_path / "scaler.joblib"


def test_preprocessor_comes_before_the_model(two_files: tuple[Path, Path]) -> None:
    backend = load_model("sklearn", *two_files)
    assert isinstance(backend, SklearnBackend)
    _, probabilities = predict(backend, CUSTOMERS)
    by_hand = backend.model.predict_proba(backend.preprocessor.transform(CUSTOMERS[NUMBERS]))
    assert list(probabilities) == list(by_hand[:, 1])
    assert get_backend_info(backend)["has_preprocessor"] is True


def test_preprocessor_comes_before_the_model_in_a_frame(
    two_files: tuple[Path, Path], spark: SparkSession
) -> None:
    backend = load_model("sklearn", *two_files)
    rows = backend.with_probability(spark.createDataFrame(CUSTOMERS[NUMBERS]).coalesce(1)).collect()
    expected = list(predict(backend, CUSTOMERS)[1])
    assert [row.probability for row in rows] == pytest.approx(expected, abs=1e-9)


def test_blank_in_a_model_that_reads_text_itself_is_left_to_it() -> None:
    class ReadsText:
        def predict_proba(self, features: pd.DataFrame) -> Any:
            found = features["TotalCharges"].str.len().to_numpy() / 10
            return np.column_stack([1 - found, found])

    backend = SklearnBackend("by-hand")
    backend.model = ReadsText()
    _, probabilities = predict(backend, [{"TotalCharges": " "}, {"TotalCharges": "600.0"}])
    assert list(probabilities) == [0.1, 0.5]


def test_blank_that_a_model_makes_nan_of_is_read_by_the_contracts_rule() -> None:
    class Coerces:
        def predict_proba(self, features: pd.DataFrame) -> Any:
            found = pd.to_numeric(features["TotalCharges"], errors="coerce").to_numpy() / 1_000
            return np.column_stack([1 - found, found])

    backend = SklearnBackend("by-hand", contract=CUSTOMER)
    backend.model = Coerces()
    _, probabilities = predict(backend, [{"TotalCharges": " "}, {"TotalCharges": "600.0"}])
    assert list(probabilities) == [0.0, 0.6]


def test_object_that_answers_to_any_attribute_lists_no_columns_and_no_threshold() -> None:
    class Anything:
        def __getattr__(self, name: str) -> Any:
            return Anything()

        def predict_proba(self, features: Any) -> Any:
            return [[0.4, 0.6]] * len(features)

    backend = SklearnBackend("by-hand")
    backend.model = Anything()
    predictions, probabilities = predict(backend, [{"any": "thing"}] * 2)
    assert (list(predictions), list(probabilities)) == (["Yes", "Yes"], [0.6, 0.6])
    assert backend.threshold == 0.5


# ------------------------------------------------------------------ in Spark's Python workers


def test_rows_on_which_the_model_raises_get_null(joblib_path: Path, spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    backend = load_model("sklearn", joblib_path)
    frame = spark.createDataFrame(CUSTOMERS.assign(n=range(10))).coalesce(1)
    broken = frame.withColumn("tenure", F.when(~F.col("n").isin(3, 7), F.col("tenure")))
    rows = backend.with_probability(broken).select("n", "probability").collect()
    expected = [None if n in (3, 7) else p for n, p in enumerate(predict(backend, CUSTOMERS)[1])]
    assert [p is None for _, p in rows] == [p is None for p in expected]
    assert [p for _, p in rows if p is not None] == pytest.approx(
        [p for p in expected if p is not None], abs=1e-9
    )


def test_model_that_lists_no_columns_gets_the_contracts_features(
    training: pd.DataFrame, spark: SparkSession
) -> None:
    from sklearn.naive_bayes import GaussianNB

    customers = build_customers(5, seed=5)
    backend = SklearnBackend("by-hand", contract=CUSTOMER)
    backend.model = GaussianNB().fit(training[NUMBERS].to_numpy(), training["label"])
    assert not hasattr(backend.model, "feature_names_in_")
    frame = spark.createDataFrame(customers)
    # The model cannot take all columns, so it fails on each row; too few columns are refused at
    # once.
    assert backend.with_probability(frame).where("probability is null").count() == 5
    with pytest.raises(ModelMismatchError, match=r"without the columns \['gender'\]"):
        backend.with_probability(frame.drop("gender"))
    assert len(CUSTOMER.feature_names) == 19


def test_model_set_by_hand_scores_frames_and_can_be_replaced(
    sklearn_pipeline: Any, training: pd.DataFrame, spark: SparkSession
) -> None:
    from sklearn.dummy import DummyClassifier

    frame = spark.createDataFrame(CUSTOMERS)
    backend = SklearnBackend("by-hand")
    backend.model = sklearn_pipeline
    first = backend.with_probability(frame)
    backend.model = DummyClassifier(strategy="constant", constant=1).fit(
        training[list(CUSTOMER.feature_names)], training["label"]
    )
    second = backend.with_probability(frame)
    assert second.where("probability = 1").count() == 10
    assert first.where("probability = 1").count() == 0  # the first frame does not change


def test_model_is_broadcast_once(joblib_path: Path, spark: SparkSession) -> None:
    backend = load_model("sklearn", joblib_path)
    assert isinstance(backend, SklearnBackend)
    frame = spark.createDataFrame(CUSTOMERS)
    backend.with_probability(frame)
    scorer: Any = backend._scorer
    shared = scorer._shared
    broadcast = shared.broadcast(spark.sparkContext)
    backend.with_probability(frame.limit(3))
    assert scorer._shared is shared
    assert shared.broadcast(spark.sparkContext) is broadcast
