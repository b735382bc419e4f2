"""Trains one model version: measures, fits, compiles and saves it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession
from sklearn.pipeline import Pipeline

from lib.errors import ModelError
from lib.messages.effects import Effects
from lib.record.contract import Contract
from lib.score.admission.artefacts import probe_artefacts
from lib.score.registry import BACKENDS
from lib.spark.full_disk import naming_device, quiet_log
from lib.spark.quoting import name_local_path
from lib.store import ModelStore, ModelVersion, installed_libraries
from lib.store.version import EFFECTS_ARTEFACT
from lib.training import evaluation
from lib.training.compile.compiled import Compiled, compile_pipeline
from lib.training.data import TrainingData
from lib.training.effects import derive_effects
from lib.training.penalty import INVERSE_PENALTY
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from lib.training.spark_fit import cross_validate_spark, fit_spark_pipeline, score_with_spark

logger = logging.getLogger(__name__)

# Both engines minimise the same function, and their solvers stop within 1e-6 of each other. With a
# larger difference, a fallback would change the six decimals of a prediction.
MAX_DISAGREEMENT = 1e-5


@dataclass(frozen=True)
class Evaluation:
    """The result of cross-validation.

    Attributes:
        metrics: engine → metric → mean and standard deviation over the folds.
        threshold: the probability from which the prediction is the positive label.
        f1: the F1 score at the threshold, over all held-out rows.
    """

    metrics: dict[str, evaluation.Metrics]
    threshold: float
    f1: float


@dataclass(frozen=True)
class FittedModels:
    """The same model in both engines, and the forms that scikit-learn's was compiled to.

    Attributes:
        disagreement: the largest difference of their probabilities over the training rows.
        compiled: the forms in ONNX and Spark SQL that agree with scikit-learn.
        effects: the effect of each field; None for a model that is not linear.
    """

    sklearn: Pipeline
    spark: PipelineModel
    disagreement: float
    compiled: Compiled
    effects: Effects | None


def train(
    data: TrainingData,
    *,
    store: ModelStore,
    name: str,
    seed: int,
    spark: SparkSession,
    now: datetime,
    contract: Contract,
    report: Callable[[str], None] = logger.info,
) -> ModelVersion:
    """Make one version: cross-validate, fit on all rows, check that the engines agree, save.

    Args:
        data: the rows to learn from.
        store: the store of the version, which does not become the champion.
        name: the name of the model.
        seed: the seed of the folds.
        spark: the session to fit in. Its file system has to reach the store's folder.
        now: the time of the training, with a time zone.
        contract: the contract of the features.
        report: a function that gets a phrase at each step.

    Raises:
        SourceError: there are too few rows of a class.
        ModelError: the two engines disagree, or one does not score what the contract allows.
        SettingsError: the name is not valid.
    """
    evaluated = evaluate(data, seed=seed, spark=spark, contract=contract, report=report)
    fitted = fit(data, seed=seed, spark=spark, contract=contract, report=report)
    report("saving")
    return store.save(
        name,
        lambda folder: write_artefacts(fitted, folder),
        probe=partial(probe_artefacts, contract=contract, session=spark),
        metrics=evaluated.metrics,
        threshold=evaluated.threshold,
        contract=contract,
        libraries=installed_libraries(),
        training=_describe(data, evaluated, fitted, seed),
        now=now,
    )


def evaluate(
    data: TrainingData,
    *,
    seed: int,
    spark: SparkSession,
    contract: Contract,
    report: Callable[[str], None] = logger.info,
) -> Evaluation:
    """Cross-validate in both engines, on the same folds.

    Raises:
        SourceError: there are too few rows of a class.
    """
    folds = evaluation.assign_folds(data.labels, seed)
    report("cross-validating in scikit-learn")
    by_sklearn = evaluation.cross_validate_sklearn(data, folds, contract)
    report("cross-validating in Spark")
    by_spark = cross_validate_spark(spark, data, folds, contract)
    metrics = {
        "sklearn": evaluation.measure(data.labels, by_sklearn, folds),
        "spark": evaluation.measure(data.labels, by_spark, folds),
    }
    return Evaluation(metrics, *evaluation.choose_threshold(data.labels, by_sklearn))


def fit(
    data: TrainingData,
    *,
    seed: int,
    spark: SparkSession,
    contract: Contract,
    report: Callable[[str], None] = logger.info,
) -> FittedModels:
    """Fit both engines on all rows, and compile.

    Raises:
        ModelError: their probabilities differ by more than :data:`MAX_DISAGREEMENT`.
    """
    report("fitting in scikit-learn")
    pipeline = build_sklearn_pipeline(contract).fit(data.features, data.labels)
    report("fitting in Spark")
    model = fit_spark_pipeline(spark, data, contract)
    by_sklearn = pipeline.predict_proba(data.features)[:, 1]
    by_spark = score_with_spark(spark, model, data.features)
    disagreement = float(np.max(np.abs(by_sklearn - by_spark)))
    if not disagreement <= MAX_DISAGREEMENT:
        raise ModelError(
            f"trained model: found scikit-learn and Spark {disagreement:.2g} apart in probability, "
            f"expected at most {MAX_DISAGREEMENT:g}",
            hint="a solver has not converged: are there extreme numbers in the data?",
        )
    report("compiling")
    compiled = compile_pipeline(pipeline, data.features, contract=contract, spark=spark, seed=seed)
    effects = derive_effects(pipeline, data.features, contract)
    return FittedModels(pipeline, model, disagreement, compiled, effects)


def write_artefacts(fitted: FittedModels, folder: Path) -> None:
    """Write the models below a folder on this machine."""
    joblib.dump(fitted.sklearn, folder / BACKENDS["sklearn"].artefact)
    if fitted.effects is not None:
        (folder / EFFECTS_ARTEFACT).write_text(fitted.effects.to_json(), encoding="utf-8")
    for name, content in fitted.compiled.artefacts.items():
        (folder / name).write_bytes(content)
    path = folder / BACKENDS["spark"].artefact
    with quiet_log(), naming_device(str(folder)):
        fitted.spark.write().save(name_local_path(path))


def _describe(
    data: TrainingData, evaluated: Evaluation, fitted: FittedModels, seed: int
) -> dict[str, Any]:
    return {
        **data.origin,
        "rows": data.rows,
        "positive_share": float(data.labels.mean()),
        "seed": seed,
        "folds": evaluation.FOLDS,
        "f1_at_threshold": evaluated.f1,
        "inverse_penalty": INVERSE_PENALTY,
        "engine_disagreement": fitted.disagreement,
        "compiled": fitted.compiled.facts,
    }
