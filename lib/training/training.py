"""Trains one model version: tries candidates, chooses, fits, compiles, measures and saves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
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
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from lib.drift.profile import build_profile
from lib.errors import ModelError
from lib.messages.effects import Effects
from lib.record.contract import Contract
from lib.score.admission.artefacts import probe_artefacts
from lib.score.registry import BACKENDS
from lib.spark.full_disk import naming_device, quiet_log
from lib.spark.quoting import name_local_path
from lib.store import ModelStore, ModelVersion, installed_libraries
from lib.store.version import EFFECTS_ARTEFACT, PROFILE_ARTEFACT
from lib.training import evaluation
from lib.training.candidates import CANDIDATES, Candidate
from lib.training.champion import compare_with_champion
from lib.training.compile.compiled import Compiled, compile_pipeline
from lib.training.data import TrainingData
from lib.training.effects import derive_effects
from lib.training.penalty import INVERSE_PENALTY
from lib.training.report.findings import Findings
from lib.training.report.importance import measure_importances
from lib.training.report.report import write_report
from lib.training.selection import Choice, choose
from lib.training.spark_fit import cross_validate_spark, fit_spark_pipeline, score_with_spark

logger = logging.getLogger(__name__)

# Both engines minimise the same function, and their solvers stop within 1e-6 of each other. With a
# larger difference, a fallback would change the six decimals of a prediction.
MAX_DISAGREEMENT = 1e-5
LOGISTIC = CANDIDATES["logistic"]


@dataclass(frozen=True)
class FittedModels:
    """The model that was fitted on all rows, in the engines that fit it, and its compiled forms.

    Attributes:
        sklearn: the fitted pipeline.
        spark: the same model, fitted by Spark; None if Spark does not fit this kind.
        disagreement: the largest difference of their probabilities over the training rows; None
            without Spark's.
        compiled: the forms in ONNX and Spark SQL that agree with scikit-learn.
        effects: the effect of each field; None for a model that is not linear.
    """

    sklearn: Pipeline
    spark: PipelineModel | None
    disagreement: float | None
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
    candidates: Sequence[str] = (LOGISTIC.name,),
    costs: evaluation.Costs | None = None,
    report: Callable[[str], None] = logger.info,
) -> ModelVersion:
    """Make one version: cross-validate, choose, fit on all rows, check that the forms agree, save.

    Args:
        data: the rows to learn from.
        store: the store of the version, which does not become the champion.
        name: the name of the model.
        seed: the seed of the folds.
        spark: the session to fit in. Its file system has to reach the store's folder.
        now: the time of the training, with a time zone.
        contract: the contract of the features.
        candidates: the names of the candidates to choose from, of :data:`CANDIDATES`.
        costs: the costs of mistakes, for the threshold; None for the best F1.
        report: a function that gets a phrase at each step.

    Raises:
        SourceError: there are too few rows of a class.
        ModelError: the two engines disagree, or one does not score what the contract allows.
        SettingsError: the name is not valid, or no candidate can be tried on so many rows.
    """
    folds = evaluation.assign_folds(data.labels, seed)
    fits: dict[str, FittedModels] = {}

    def fit_once(candidate: Candidate) -> FittedModels:
        if candidate.name not in fits:
            fits[candidate.name] = fit(
                data, candidate, seed=seed, spark=spark, contract=contract, report=report
            )
        return fits[candidate.name]

    # OpenMP's threads wait for each other at work: where other programs take part of the cores, two
    # need a minute for what one does in a second.
    with threadpool_limits(limits=1, user_api="openmp"):
        choice = choose(
            data,
            [candidate for candidate in CANDIDATES.values() if candidate.name in candidates],
            folds=folds,
            seed=seed,
            contract=contract,
            is_fast=lambda candidate: bool(fit_once(candidate).compiled.artefacts),
            report=report,
        )
        winner = choice.winner
        fitted = fit_once(winner.candidate)
        metrics = {"sklearn": evaluation.measure(data.labels, winner.probabilities, folds)}
        if winner.candidate.is_in_spark:
            report("cross-validating in Spark")
            by_spark = cross_validate_spark(spark, data, folds, contract)
            metrics["spark"] = evaluation.measure(data.labels, by_spark, folds)
        threshold = evaluation.choose_threshold(data.labels, winner.probabilities, costs)
        training = {
            **_describe_data(data, seed),
            **_describe_choice(choice, data, folds),
            **_describe_fit(winner.candidate, fitted),
            "f1_at_threshold": threshold.f1,
            "threshold_rule": threshold.describe_rule(),
        }
        report("writing the report")
        findings = Findings(
            name=name,
            now=now,
            data=data,
            contract=contract,
            probabilities=winner.probabilities,
            metrics=metrics,
            threshold=threshold,
            importances=measure_importances(winner, data, folds, contract, seed),
            champion=compare_with_champion(
                store, name, data, winner.probabilities, folds, contract
            ),
            training=training,
        )
        pages = write_report(findings)
        profile = build_profile(data.features, winner.probabilities, contract)

    def write_files(folder: Path) -> None:
        write_artefacts(fitted, folder)
        (folder / PROFILE_ARTEFACT).write_text(profile.to_json(), encoding="utf-8")
        for file, content in pages.items():
            (folder / file).write_bytes(content)

    report("saving")
    return store.save(
        name,
        write_files,
        probe=partial(probe_artefacts, contract=contract, session=spark),
        metrics=metrics,
        threshold=threshold.value,
        contract=contract,
        libraries=installed_libraries(),
        training=training,
        now=now,
    )


def fit(
    data: TrainingData,
    candidate: Candidate = LOGISTIC,
    *,
    seed: int,
    spark: SparkSession,
    contract: Contract,
    report: Callable[[str], None] = logger.info,
) -> FittedModels:
    """Fit on all rows, in each engine that fits this kind of model, and compile.

    Raises:
        ModelError: the engines' probabilities differ by more than :data:`MAX_DISAGREEMENT`.
    """
    report(f"fitting {candidate.name}")
    pipeline = candidate.fit(data, contract, seed)
    model, disagreement = None, None
    if candidate.is_in_spark:
        report("fitting in Spark")
        model = fit_spark_pipeline(spark, data, contract)
        disagreement = _compare_engines(spark, pipeline, model, data)
    report("compiling")
    compiled = compile_pipeline(pipeline, data.features, contract=contract, spark=spark, seed=seed)
    effects = derive_effects(pipeline, data.features, contract)
    return FittedModels(pipeline, model, disagreement, compiled, effects)


def _compare_engines(
    spark: SparkSession, pipeline: Pipeline, model: PipelineModel, data: TrainingData
) -> float:
    by_sklearn = pipeline.predict_proba(data.features)[:, 1]
    by_spark = score_with_spark(spark, model, data.features)
    disagreement = float(np.max(np.abs(by_sklearn - by_spark)))
    if not disagreement <= MAX_DISAGREEMENT:
        raise ModelError(
            f"trained model: found scikit-learn and Spark {disagreement:.2g} apart in probability, "
            f"expected at most {MAX_DISAGREEMENT:g}",
            hint="a solver has not converged: are there extreme numbers in the data?",
        )
    return disagreement


def write_artefacts(fitted: FittedModels, folder: Path) -> None:
    """Write the models below a folder on this machine."""
    joblib.dump(fitted.sklearn, folder / BACKENDS["sklearn"].artefact)
    if fitted.effects is not None:
        (folder / EFFECTS_ARTEFACT).write_text(fitted.effects.to_json(), encoding="utf-8")
    for name, content in fitted.compiled.artefacts.items():
        (folder / name).write_bytes(content)
    if fitted.spark is None:
        return
    path = folder / BACKENDS["spark"].artefact
    with quiet_log(), naming_device(str(folder)):
        fitted.spark.write().save(name_local_path(path))


def _describe_data(data: TrainingData, seed: int) -> dict[str, Any]:
    return {
        **data.origin,
        "rows": data.rows,
        "positive_share": float(data.labels.mean()),
        "seed": seed,
        "folds": evaluation.FOLDS,
    }


def _describe_choice(
    choice: Choice, data: TrainingData, folds: evaluation.Integers
) -> dict[str, Any]:
    tried: dict[str, Any] = {
        trial.candidate.name: {
            "metrics": evaluation.measure(data.labels, trial.probabilities, folds),
            "calibration_error": evaluation.measure_calibration(data.labels, trial.probabilities),
            "log_loss_above_best": {"mean": difference.mean, "error": difference.error},
        }
        for trial, difference in zip(choice.trials, choice.differences, strict=True)
    }
    left_out = {name: {"left_out": reason} for name, reason in choice.left_out.items()}
    return {"candidate": choice.winner.candidate.name, "candidates": tried | left_out}


def _describe_fit(candidate: Candidate, fitted: FittedModels) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "parameters": candidate.describe_choice(fitted.sklearn),
        "compiled": fitted.compiled.facts,
    }
    if fitted.disagreement is not None:
        facts |= {
            "inverse_penalty": INVERSE_PENALTY,
            "engine_disagreement": fitted.disagreement,
        }
    return facts
