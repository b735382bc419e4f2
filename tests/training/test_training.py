from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pytest

from lib.errors import ModelError
from lib.score.loading import load_model, predict
from lib.spark.quoting import name_local_path
from lib.store import ModelStore, ModelVersion, installed_libraries
from lib.training.data import make_training_data
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATA = make_training_data(1_500, seed=3, contract=CUSTOMER)


@pytest.fixture(scope="module")
def version(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    from lib.training.training import train

    return train(
        DATA,
        # Hadoop and URIs read some of these characters in another way.
        store=ModelStore(tmp_path_factory.mktemp("store") / "a 'störe' 100%41 #1"),
        name="churn",
        seed=5,
        contract=CUSTOMER,
        spark=spark,
        now=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
    )


def test_a_version_holds_both_models_and_is_sound(version: ModelVersion) -> None:
    assert version.reference == "churn@1"
    assert (version.path / "pipeline.joblib").is_file()
    assert (version.path / "spark_model").is_dir()
    version.verify()


def test_a_version_holds_both_compiled_forms_and_says_how_close_they_are(
    version: ModelVersion,
) -> None:
    assert version.has("pipeline.onnx")
    assert version.has("probability.sql")
    compiled = version.metadata.training["compiled"]
    assert set(compiled) == {"onnx", "sql"}
    assert all(0 < facts["largest_difference"] < 1e-6 for facts in compiled.values())


def test_it_is_not_the_champion_by_itself(version: ModelVersion) -> None:
    assert not (version.path.parent / "champion").exists()


def test_the_metadata_say_what_it_was_made_of(version: ModelVersion) -> None:
    metadata = version.metadata
    assert metadata.created == "2026-01-31T12:00:00Z"
    assert metadata.contract_fingerprint == CUSTOMER.fingerprint
    assert metadata.libraries == installed_libraries()
    expected = {"source": "synthetic", "rows": 1_500, "seed": 5, "folds": 5}
    assert {key: metadata.training[key] for key in expected} == expected
    assert metadata.training["positive_share"] == pytest.approx(DATA.labels.mean())


def test_both_engines_are_measured_and_measure_the_same(version: ModelVersion) -> None:
    metrics = version.metadata.metrics
    assert list(metrics) == ["sklearn", "spark"]
    for name in ("roc_auc", "pr_auc", "brier", "log_loss"):
        found = [metrics[engine][name] for engine in ("sklearn", "spark")]
        assert found[0]["mean"] == pytest.approx(found[1]["mean"], abs=1e-4)
        assert found[0]["std"] == pytest.approx(found[1]["std"], abs=1e-4)
    assert 0.80 < metrics["spark"]["roc_auc"]["mean"] < 0.90
    assert version.metadata.training["engine_disagreement"] < 1e-6


def test_the_threshold_has_two_decimals_and_is_below_a_half(version: ModelVersion) -> None:
    threshold = version.metadata.threshold
    assert threshold == round(threshold, 2)
    assert 0.2 < threshold < 0.5


def test_the_saved_models_agree(spark: SparkSession, version: ModelVersion) -> None:
    from pyspark.ml import PipelineModel

    from lib.training.spark_fit import score_with_spark

    others = make_training_data(500, seed=4, contract=CUSTOMER).features
    model = PipelineModel.load(name_local_path(version.path / "spark_model"))
    pipeline = joblib.load(version.path / "pipeline.joblib")
    np.testing.assert_allclose(
        score_with_spark(spark, model, others),
        pipeline.predict_proba(others)[:, 1],
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("backend", ["spark", "sql", "onnx", "sklearn"])
def test_a_model_is_loaded_from_a_folder_of_any_name(
    spark: SparkSession, version: ModelVersion, backend: str
) -> None:
    others = make_training_data(100, seed=4, contract=CUSTOMER).features

    loaded = load_model(backend, version.path, spark_session=spark)
    _, probabilities = predict(loaded, others.head(3))

    assert not getattr(loaded, "using_fallback", False)
    pipeline = joblib.load(version.path / "pipeline.joblib")
    expected = pipeline.predict_proba(others.head(3))[:, 1]
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-6)


def test_training_again_gives_the_same_sklearn_model(version: ModelVersion, tmp_path: Path) -> None:
    from lib.training.sklearn_pipeline import build_sklearn_pipeline

    again = build_sklearn_pipeline(CUSTOMER).fit(DATA.features, DATA.labels)
    saved = joblib.load(version.path / "pipeline.joblib")
    np.testing.assert_array_equal(again[-1].coef_, saved[-1].coef_)


def test_a_version_has_a_report_whose_checksum_is_known(version: ModelVersion) -> None:
    assert {"report.html", "report.md"} <= version.metadata.artefacts.keys()
    version.verify()
    text = (version.path / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Model churn, trained on 2026-01-31 12:00 UTC\n")
    assert "| rows | 1,500 |" in text
    assert "There was no champion." in text


def test_a_version_says_what_was_tried(version: ModelVersion) -> None:
    training = version.metadata.training
    assert training["candidate"] == "logistic"
    assert list(training["candidates"]) == ["logistic"]
    assert training["candidates"]["logistic"]["log_loss_above_best"] == {"mean": 0.0, "error": 0.0}
    assert training["candidates"]["logistic"]["calibration_error"] < 0.05
    assert training["threshold_rule"] == {"rule": "best F1"}


def test_boosted_trees_have_no_second_engine_and_score_by_onnx(
    spark: SparkSession, tmp_path: Path
) -> None:
    from lib.training.evaluation import Costs
    from lib.training.training import train

    saved = train(
        DATA,
        store=ModelStore(tmp_path),
        name="trees",
        seed=5,
        contract=CUSTOMER,
        spark=spark,
        now=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
        candidates=["hist-gradient-boosting"],
        costs=Costs(missed=5.0, alarm=1.0),
    )

    assert saved.metadata.artefacts.keys() == {
        *("contract.toml", "pipeline.joblib", "pipeline.onnx", "profile.json"),
        *("report.html", "report.md"),
    }
    assert list(saved.metadata.metrics) == ["sklearn"]
    training = saved.metadata.training
    assert training["compiled"]["onnx"]["largest_difference"] < 1e-6
    assert training["compiled"]["sql"]["left_out"] == (
        "this kind of model is exported to ONNX only"
    )
    assert training["threshold_rule"]["rule"] == "least cost"
    # A calibrated probability is worth an alarm from 1 / (1 + 5).
    assert 0.1 < saved.metadata.threshold < 0.25
    others = make_training_data(100, seed=4, contract=CUSTOMER).features
    by_onnx, by_sklearn = (
        predict(load_model(kind, saved.path), others)[1] for kind in ("onnx", "sklearn")
    )
    np.testing.assert_allclose(by_onnx, by_sklearn, rtol=0, atol=1e-6)


def test_engines_that_disagree_are_not_saved(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib.training import training

    # No two solvers agree to the last bit.
    monkeypatch.setattr(training, "MAX_DISAGREEMENT", 0.0)
    with pytest.raises(ModelError, match="expected at most 0"):
        training.fit(DATA, seed=5, spark=spark, contract=CUSTOMER)
